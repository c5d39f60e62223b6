"""Which files hold some bytes, looked for by a process of its own.

Not in the server's: closing any handle on a file takes that process's POSIX locks from it, and the
files of our database and of Chroma's are among those that are read
(https://sqlite.org/howtocorrupt.html, 2.2).
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BLOCK = 1 << 22
"""Bytes that are read at once."""


def count_in_files(
    root: Path, sought: Sequence[set[bytes]], skip: Sequence[Path] = ()
) -> dict[str, int]:
    """The files under `root` that hold a form of one of `sought`, with of how many; not `skip`.

    Raises CalledProcessError when a file cannot be read; the child says why on stderr.
    """
    asked = {
        "root": str(root),
        "skip": [str(path) for path in skip],
        "sought": [sorted(form.hex() for form in forms) for forms in sought],
    }
    code_root = str(Path(__file__).parent.parent)
    path = os.pathsep.join([code_root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "storage.file_search"],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


def main() -> None:
    """Reads what is asked from standard input and writes what is found to standard output."""
    asked = json.load(sys.stdin)
    root, skip = Path(asked["root"]), {Path(path) for path in asked["skip"]}
    sought = [{bytes.fromhex(form) for form in forms} for forms in asked["sought"]]
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or skip & {path, *path.parents}:
            continue
        if count := count_in(path, sought):
            found[str(path.relative_to(root))] = count
    json.dump(found, sys.stdout)


def count_in(path: Path, sought: Sequence[set[bytes]], block: int = BLOCK) -> int:
    """Of how many of `sought` the file holds a form; read in blocks that overlap."""
    longest = max((len(form) for forms in sought for form in forms), default=0)
    hit: set[int] = set()
    try:
        with path.open("rb") as file:
            tail = b""
            while read := file.read(block):
                data = tail + read
                for number, forms in enumerate(sought):
                    if number not in hit and any(form in data for form in forms):
                        hit.add(number)
                tail = data[-longest:]
    except FileNotFoundError:  # a file of the running server that came and went
        return 0
    return len(hit)


if __name__ == "__main__":
    main()
