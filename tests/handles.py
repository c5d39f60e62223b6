"""Who opens a database file by hand that this process has open through SQLite.

Closing that handle takes all of the process's POSIX locks from the file; another process then
throws the log away that is written to (https://sqlite.org/howtocorrupt.html, 2.2). 15 seconds of
three processes with two threads each left a malformed file before this was looked at.
"""

import os
import sys
from pathlib import Path

FILES = ("apprentice.db", "chroma.sqlite3")
LOCKED = tuple(f"{name}{end}" for name in FILES for end in ("", "-wal", "-shm", "-journal"))
ROOT = Path(__file__).parent.parent
ROOMS = tuple(f"{ROOT / room}{os.sep}" for room in ("assistant", "knowledge", "storage", "tuning"))

found: list[str] = []
"""Where in our rooms it was done since the list was last emptied."""


def watch() -> None:
    """Note each from now on; an audit hook cannot be taken off again."""
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path, flags = os.fsdecode(arguments[0]), arguments[2]
    if isinstance(flags, int) and flags & os.O_EXCL:  # refused where a file is
        return
    if path.endswith(LOCKED) and _is_open(path) and (where := _in_our_rooms()):
        found.append(f"{where} opens {path}")


def _is_open(path: str) -> bool:
    real = os.path.realpath(path)
    with os.scandir("/proc/self/fd") as handles:
        return any(_target(handle.path) == real for handle in handles)


def _target(handle: str) -> str:
    try:
        return os.readlink(handle)
    except OSError:  # that of the listing itself
        return ""


def _in_our_rooms() -> str:
    """The innermost line that is ours, unless a test did it."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(ROOMS):
            return f"{name}:{frame.f_lineno}"
        if name.startswith(str(ROOT / "tests")):
            return ""
        frame = frame.f_back  # type: ignore[assignment]
    return ""
