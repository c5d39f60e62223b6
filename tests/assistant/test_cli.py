"""The command as a process: exit codes and what it says when it cannot go on."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.cli import main
from tests.assistant.command_line import refusal, write_rows

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "assistant"]


def run(*words, **options):
    return subprocess.run(
        [*COMMAND, *map(str, words)], cwd=ROOT, capture_output=True, text=True, **options
    )


def test_help_is_no_failure(capsys):
    assert main(["--help"]) == 0
    assert "apprentice" in capsys.readouterr().out
    assert main(["feedback", "import", "--help"]) == 0
    assert "--skip-bad" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [(), ("fly",), ("feedback",), ("feedback", "fly"), ("rounds", "show", "x"), ("ask", "-x", "q")],
)
def test_mistyped_command_is_one_sentence(words, capsys):
    assert main(list(words)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--help" in said


def test_bad_settings_are_one_sentence(apprentice, monkeypatch):
    monkeypatch.setenv("APPRENTICE_THREADS", "many")
    apprentice("workspaces", "list", code=2)
    assert "APPRENTICE_THREADS" in refusal(apprentice) and "many" in apprentice.said


def test_data_directory_that_is_a_file(apprentice):
    apprentice.data.write_text("not a folder")
    apprentice("workspaces", "list", code=2)
    assert str(apprentice.data) in refusal(apprentice)


def test_data_directory_from_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path / "elsewhere"))
    assert main(["workspaces", "list"]) == 0
    assert (tmp_path / "elsewhere" / "apprentice.db").exists()


def test_reader_that_leaves_early_is_no_error(apprentice, tmp_path):
    """`apprentice feedback list --json | head -1` over more than a pipe holds (64 KB)."""
    rows = [{"question": f"Q{n}", "answer": "a" * 500, "correction": "c" * 500} for n in range(300)]
    apprentice("feedback", "import", write_rows(tmp_path / "rows.jsonl", *rows))
    command = " ".join(
        [*COMMAND, "--data", str(apprentice.data), "feedback list --json --limit 300 | head -1"]
    )
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert json.loads(done.stdout)["question"] == "Q299"
    assert done.stderr == ""


def test_ctrl_c_is_one_line(apprentice, tmp_path):
    rows = [{"question": f"Q{n}", "answer": "a", "correction": "c"} for n in range(20_000)]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    words = ["--data", str(apprentice.data), "feedback", "import", str(path)]
    child = subprocess.Popen(
        [*COMMAND, *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # what a shell starts with "&" ignores Ctrl-C, and so would the child of such a test run
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stderr is not None
    first = child.stderr.readline()  # progress: it is at work
    child.send_signal(signal.SIGINT)
    rest = child.stderr.read()
    assert child.wait() == 130, first + rest
    assert rest.splitlines()[-1] == "apprentice: stopped." and "Traceback" not in rest
    assert apprentice.rows("feedback", "list") == []


def test_installed_as_a_module():
    done = run("--help")
    assert done.returncode == 0 and "VERB" in done.stdout
