"""The import table of the house: who may import whom, and which heavy libraries stay out."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"storage", "knowledge", "tuning", "assistant"}
HEAVY = {"torch", "transformers", "trl", "peft", "chromadb", "gradio", "sentence_transformers"}
MAY_IMPORT = {
    "storage": set(),
    "knowledge": {"storage"},
    "tuning": {"storage"},
    "assistant": {"storage", "knowledge", "tuning"},
}
MUST_NOT = {
    "storage": {"torch", "transformers", "gradio", "chromadb"},
    "knowledge": {"gradio", "trl", "peft"},
    "tuning": {"gradio", "chromadb"},
    "assistant": {"trl"},
}
# One file each, so that everything else starts fast and is tested without it.
ONLY_IN = {
    "trl": {"tuning/train.py"},
    "accelerate": {"tuning/runners/launch.py"},
    "chromadb": {"knowledge/dense_folder.py", "knowledge/dense_server.py"},
    "ray": {
        "knowledge/ray_tasks.py",
        "tuning/runners/ray.py",
        "tuning/runners/ray_job.py",
        "tuning/runners/ray_task.py",
        "tuning/search.py",
    },
    "tantivy": {"knowledge/lexical.py"},
    "llguidance": {"assistant/engines/grammar.py"},
    "prometheus_client": {"assistant/measures.py"},
    "protego": {"knowledge/robots.py"},
    "PIL": {"assistant/avatar.py"},
    "phonenumbers": {"assistant/private_values.py"},
    "stdnum": {"assistant/private_values.py"},
    "sentence_transformers": {"knowledge/embedding.py", "knowledge/reranking.py"},
}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_import_only_what_they_may(room):
    files = sources(room)
    assert files
    for path in files:
        names = imported(path)
        assert not (names & ROOMS) - MAY_IMPORT[room] - {room}, path
        assert not names & MUST_NOT[room], path


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_heavy_libraries_live_in_one_file(library):
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in sources(room)
        if library in imported(path)
    }
    assert found == ONLY_IN[library]


def test_spaces_is_not_a_package():
    assert not (ROOT / "spaces" / "__init__.py").exists()


def test_command_line_starts_without_heavy_libraries():
    """`apprentice --help` may not read them: each costs seconds."""
    import subprocess
    import sys

    script = (
        "import sys, assistant.cli\n"
        "try: assistant.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]"), done.stdout[-300:] + done.stderr[-300:]
