"""The whole program in a process of its own, as somebody starts it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Server:
    """`apprentice serve` in a process of its own, on a free port."""

    def __init__(self, folder: Path, base: Path, *, first: bool = True) -> None:
        """`first`: nobody can log in yet, so it says in a second line how to."""
        self._first = first
        self.environment = {
            **os.environ,
            "APPRENTICE_DATA": str(folder / "data"),
            "APPRENTICE_BASE_MODEL": str(base),
            "APPRENTICE_THREADS": "2",
        }
        self._log = (folder / "server.log").open("a")

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "serve", "--port", "0"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        self.greeting = [self._process.stdout.readline()]
        if self._first:
            self.greeting.append(self._process.stdout.readline())
        found = re.search(r"http://[^\s,]+", self.greeting[0])
        assert found, self.greeting
        self.url = found[0]
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=120)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "assistant", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
