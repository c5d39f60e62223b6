"""The command line as tests type it: `apprentice("users", "list")`, in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.app import App
from assistant.cli import main
from assistant.verbs import run_here


class Typed:
    """Types commands at one data directory; keeps what the last one said on stderr."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self.said = ""
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> str:
        """Standard output of a command that must end with `code`."""
        self._capsys.readouterr()
        ended = main(["--data", str(self.data), *map(str, words)])
        out, self.said = self._capsys.readouterr()
        assert ended == code, f"exit code {ended}\n{out}\n{self.said}"
        assert "Traceback" not in self.said
        return out

    def rows(self, *words: object, code: int = 0) -> list[Any]:
        """The JSON lines of a command."""
        return [json.loads(line) for line in self("--json", *words, code=code).splitlines()]


@pytest.fixture
def apprentice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """The command line on an empty data directory."""
    return Typed(tmp_path / "data", capsys)


def refusal(typed: Typed) -> str:
    """The one sentence that a refused command says."""
    lines = typed.said.strip().splitlines()
    assert len(lines) == 1, typed.said
    assert lines[0].startswith("apprentice")
    return lines[0]


def write_rows(path: Path, *rows: object) -> Path:
    """A JSON-lines file; a text is a line as it stands."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def run_verb(app: App, name: str, /, **arguments: Any) -> tuple[list[Any], int]:
    """(results, exit code) of a verb on an open app; deltas and progress are left out."""
    events, results = run_here(app, name, arguments), []
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return results, end.value or 0
        if not {"progress", "delta", "warning"} & event.keys():
            results.append(event)
