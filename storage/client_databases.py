"""Copies of clients' SQLite files: what a check's queries run on, never the file itself."""

import hashlib
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from storage.durable import put
from storage.errors import BadInput

_COPYING = threading.Lock()
"""One copy at a time: closing the handle that reads the header takes this process's locks from the
file (https://sqlite.org/howtocorrupt.html, 2.2), those of another copy with them."""


@dataclass(frozen=True)
class ClientCopy:
    """A copy as it was made: of which file, when (Unix time), and how the file was then."""

    source: str
    made_at: float
    state: tuple[tuple[int, int], ...]
    """(size, time of change in ns) of the file and, if there is one, of its write-ahead log."""

    @property
    def outdated(self) -> bool:
        """Whether the file has changed since, or is gone."""
        return self.state != _state(Path(self.source))

    @property
    def gone(self) -> bool:
        """Whether there is no such file any more."""
        return not Path(self.source).is_file()


def fresh_copy(folder: Path, source: Path) -> Path:
    """The copy of `source` in `folder`, made now unless the one there is of the file as it is.

    A source that is gone leaves its last copy in use. Raises BadInput when there is neither, when
    it is no SQLite file, and when the disk has no room for it.
    """
    source = source.expanduser().absolute()
    copy = _place(folder, source)
    if copy.is_file() and not source.is_file():
        return copy
    known = _note(copy)
    state = _state(source)
    if known is None or known.state != state:
        _must_fit(folder, source)
        with _COPYING:
            _copy(source, copy)
        note = ClientCopy(str(source), time.time(), state)
        copy.with_suffix(".json").write_text(json.dumps(asdict(note)))
    return copy


def last_copy(folder: Path, source: Path) -> Path | None:
    """The copy of `source` in `folder`, however old, or None: what a reply has the time for."""
    copy = _place(folder, source.expanduser().absolute())
    return copy if copy.is_file() else None


def copies(folder: Path) -> list[ClientCopy]:
    """Every copy in `folder`, by the name of its source."""
    found = [_note(path) for path in folder.glob("*.sqlite")]
    return sorted((note for note in found if note), key=lambda note: note.source)


def forget_copies(folder: Path, *, keep: Collection[str]) -> None:
    """Remove the copies of all sources but those of `keep` (absolute paths)."""
    wanted = {_place(folder, Path(source)).stem for source in keep}
    for path in folder.glob("*.*"):
        if path.stem not in wanted:
            path.unlink(missing_ok=True)


def _place(folder: Path, source: Path) -> Path:
    return folder / f"{hashlib.sha256(str(source).encode()).hexdigest()[:24]}.sqlite"


def _note(copy: Path) -> ClientCopy | None:
    try:
        stored = json.loads(copy.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    if not copy.is_file():
        return None
    state = tuple((size, changed) for size, changed in stored["state"])
    return ClientCopy(stored["source"], stored["made_at"], state)


def _state(source: Path) -> tuple[tuple[int, int], ...]:
    """Changes wait in the write-ahead log, without touching the file."""
    files = (source, source.with_name(f"{source.name}-wal"))
    stats = [file.stat() for file in files if file.is_file()]
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def _must_fit(folder: Path, source: Path) -> None:
    if not source.is_file():
        raise BadInput(f"The check's database {str(source)!r} is not a file; name an SQLite file.")
    needed, free = source.stat().st_size, shutil.disk_usage(folder).free
    if needed > free:
        raise BadInput(
            f"The check's database {str(source)!r} takes {needed / 2**20:.0f} MB and the data "
            f"directory has {free / 2**20:.0f} MB left: make room for the copy that is queried."
        )


def _copy(source: Path, copy: Path) -> None:
    """By SQLite's own backup, so that what another program is writing is whole or not there."""
    with NamedTemporaryFile(dir=copy.parent, prefix=".draft-", delete=False) as draft:
        made = Path(draft.name)
    # a log that is not there would be made by reading: such a file is at rest, and read as it is
    logged = source.with_name(f"{source.name}-wal").is_file()
    mode = "mode=ro" if logged or not _writes_ahead(source) else "mode=ro&immutable=1"
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?{mode}", uri=True)) as original,
            closing(sqlite3.connect(made)) as target,
        ):
            original.backup(target)
            target.execute("pragma journal_mode = delete")
        put(made, copy)
    except sqlite3.Error as error:
        raise BadInput(
            f"The check's database {str(source)!r} cannot be read as SQLite ({error}): "
            "name an SQLite file."
        ) from None
    finally:
        made.unlink(missing_ok=True)


def _writes_ahead(source: Path) -> bool:
    """Whether the file says that it is used with a write-ahead log (bytes 18 and 19 are 2)."""
    with source.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"
