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

    def __init__(
        self,
        folder: Path,
        base: Path,
        *,
        first: bool = True,
        port: int = 0,
        module: str = "assistant",
    ) -> None:
        """`first`: nobody can log in yet, so it says in a second line how to.

        `module` is run instead of the program itself; `port` 0 is any free one.
        """
        self._first = first
        self._words = [sys.executable, "-m", module, "serve", "--port", str(port)]
        self.environment = {
            **os.environ,
            "APPRENTICE_DATA": str(folder / "data"),
            "APPRENTICE_BASE_MODEL": str(base),
            "APPRENTICE_THREADS": "2",
        }
        self._log = (folder / "server.log").open("a")

    def __enter__(self) -> "Server":
        self._process = subprocess.Popen(
            self._words,
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

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].strip("/"))

    def end(self, number: int) -> None:
        """Send this signal and wait until the process is gone."""
        self._process.send_signal(number)
        self._process.wait(timeout=120)

    def __exit__(self, *exc: object) -> None:
        self.end(signal.SIGTERM)
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
