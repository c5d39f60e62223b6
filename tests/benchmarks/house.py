"""A data directory used as a person would use it, and what a benchmark has done so far."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class Results:
    """A JSON file of what is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave, made only if it is not there yet."""
        if name not in self.values:
            print(f"{time.strftime('%H:%M:%S')} {name} ...", flush=True)
            self.values[name] = make()
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps(self.values, ensure_ascii=False, indent=1))
            os.replace(part, self._path)
        return self.values[name]


class House:
    """A data directory, used through the command line alone."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
        """The JSON lines that `apprentice WORDS --json` prints."""
        call = "from assistant.cli import main; raise SystemExit(main())"
        command = [sys.executable, "-c", call, *words, "--data", str(self.data), "--json"]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode not in codes:
            sys.exit(f"{' '.join(words)}: {ran.stderr[-2000:]}")
        return [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]

    def ask(
        self,
        questions: Sequence[str],
        options: Sequence[str],
        *,
        max_tokens: int,
        example_tokens: int = 0,
    ) -> list[dict[str, Any]]:
        """What `ask` says to each question, in their order."""
        self.run("workspaces", "set", "default", f"example_tokens={example_tokens}")
        path = self.data.parent / "asked.jsonl"
        write_rows(path, [{"question": question} for question in questions])
        return self.run("ask", "--file", str(path), "--max-tokens", str(max_tokens), *options)

    def teach(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Posts these rows of feedback and approves them; what the import said."""
        path = self.data.parent / "corrections.jsonl"
        write_rows(path, rows)
        return self.run("feedback", "import", str(path), "--approve")

    def tune(self, dials: Sequence[str]) -> dict[str, Any]:
        """One round. Where nothing can be held out the gate cannot say yes, so no is no error."""
        said = self.run("tune", *dials, codes=(0, 1))[-1]
        if said["adapter"] is None:
            sys.exit(f"the round came to nothing: {said}")
        return said


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
