"""A connection on which no query writes, leaves its file, or runs or grows without end.

SQLite looks whether it is to stop only between rows, so what takes long within one value is not
left to it: `trim` of two long texts took hours, `instr` and `replace` seconds a call, and `printf`
9 s for a star. These are done here, in steps that grow with the text.
"""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

VALUE_BYTES = 1_000_000
"""One value, read or made on the way, takes no more."""
SPILLED_BYTES = 256_000_000
"""What sorting and grouping put on the disk meanwhile; 1.8 GB were written within 5 s."""
LOOK_S = 0.1
"""Between two looks at clock and disk."""
WIDEST = 1000
"""The largest number in a format of `printf`."""

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_ALLOWED |= {sqlite3.SQLITE_RECURSIVE}
_DENIED = {"load_extension", "fts3_tokenizer"}
"""Functions, so that allowing functions must not allow them; the second tells an address."""
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}

_Value = str | bytes | int | float | None


class TooMuch(ValueError):
    """A query went past a limit; the text says which."""


class Guard:
    """What stops the queries of one connection."""

    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._over = threading.Event()
        self._plain = sqlite3.connect(":memory:")
        self.said = ""
        """Why the query was stopped; '' while it was not."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Clock and disk are looked at until the block ends."""
        began, before = time.monotonic(), _spilled()

        def watch() -> None:
            while not self._over.wait(LOOK_S):
                if time.monotonic() - began > self._seconds:
                    self.said = f"it runs longer than {self._seconds:g} seconds"
                elif sum(size for file, size in _spilled().items() if file not in before) > (
                    SPILLED_BYTES
                ):
                    self.said = f"it needs more than {SPILLED_BYTES:,} bytes of the disk"
                if self.said:
                    self._connection.interrupt()

        thread = threading.Thread(target=watch, name="query", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self._plain.close()

    def asked(self, query: str, *values: _Value) -> _Value:
        """One value, by SQLite as it is."""
        found: _Value = self._plain.execute(query, values).fetchone()[0]
        return found

    def stop(self, said: str) -> TooMuch:
        """The error that a function raises; SQLite tells nobody its text."""
        self.said = self.said or said
        return TooMuch(self.said)


def guard(connection: sqlite3.Connection, seconds: float) -> Guard:
    """Allow nothing but reading, within the limits above, and replace the slow functions."""
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    made = Guard(connection, seconds)
    names: dict[str, tuple[int, Callable[..., _Value]]] = {
        "instr": (2, _instr),
        "replace": (3, _replace),
        "trim": (2, lambda made, text, kept: _trim(made, text, kept, True, True)),
        "ltrim": (2, lambda made, text, kept: _trim(made, text, kept, True, False)),
        "rtrim": (2, lambda made, text, kept: _trim(made, text, kept, False, True)),
        "printf": (-1, _printf),
        "format": (-1, _printf),
    }
    for name, (count, work) in names.items():
        connection.create_function(name, count, _checked(made, work), deterministic=True)
    connection.set_authorizer(_authorize)
    return made


def _checked(made: Guard, work: Callable[..., _Value]) -> Callable[..., _Value]:
    def called(*values: _Value) -> _Value:
        if made.said:  # a query of one row with hundreds of calls is never asked by SQLite
            raise TooMuch(made.said)
        return work(made, *values)

    return called


def _authorize(action: int, *names: str | None) -> int:
    if action not in _ALLOWED or _DENIED & set(names):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _spilled() -> dict[int, int]:
    """Sizes of SQLite's own temporary files of this process by their number; none without /proc."""
    found = {}
    for handle in Path("/proc/self/fd").glob("*"):
        try:
            if "etilqs_" in os.readlink(handle):
                facts = handle.stat()
                found[facts.st_ino] = facts.st_size
        except OSError:  # closed meanwhile
            continue
    return found


# ---- the functions, as SQLite has them but for the time they take


def _text(made: Guard, value: _Value) -> str:
    """The value as SQLite writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(made.asked("select cast(? as text)", value))


def _instr(made: Guard, text: _Value, part: _Value) -> _Value:
    if text is None or part is None:
        return None
    if isinstance(text, bytes) and isinstance(part, bytes):
        return text.find(part) + 1
    return _text(made, text).find(_text(made, part)) + 1


def _replace(made: Guard, text: _Value, old: _Value, new: _Value) -> _Value:
    if text is None or old is None or new is None:
        return None
    whole, one, other = _text(made, text), _text(made, old), _text(made, new)
    if not one:
        return whole
    if len(whole) + whole.count(one) * (len(other) - len(one)) > VALUE_BYTES:
        raise made.stop(f"a value in it has more than {VALUE_BYTES:,} bytes")
    return whole.replace(one, other)


def _trim(made: Guard, text: _Value, kept: _Value, left: bool, right: bool) -> _Value:
    if text is None or kept is None:
        return None
    whole, gone = _text(made, text), set(_text(made, kept))
    begin, end = 0, len(whole)
    while left and begin < end and whole[begin] in gone:
        begin += 1
    while right and end > begin and whole[end - 1] in gone:
        end -= 1
    return whole[begin:end]


def _printf(made: Guard, *values: _Value) -> _Value:
    if not values or values[0] is None:
        return None
    form = _text(made, values[0])
    if "*" in form or any(int(number[-9:]) > WIDEST for number in re.findall(r"[0-9]+", form)):
        raise made.stop(f"a format in it has a star or a number above {WIDEST:,}")
    marks = ", ".join("?" * len(values))
    return made.asked(f"select printf({marks})", form, *values[1:])
