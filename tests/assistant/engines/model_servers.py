"""Model servers in processes of their own, for tests of the engine `remote`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.engines.remote_place import RemotePlace

ROOT = Path(__file__).parents[3]
KEY = "sesame-7"


@dataclass(frozen=True)
class Running:
    """A server that answers at `place`."""

    process: subprocess.Popen[str]
    place: RemotePlace

    def with_key(self, key: str) -> RemotePlace:
        return replace(self.place, key=key)


@contextmanager
def running(module: str, *arguments: str | Path) -> Iterator[Running]:
    """A module of this folder as a server; it prints its address when it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.assistant.engines.{module}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), f"{module} did not start"
        yield Running(process, RemotePlace(address, KEY, timeout=120.0))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
