"""The files of Chroma's folder: whether they may be opened, and what must not stay in them.

A damaged file of vectors can end the process with SIGSEGV, so their hashes are recorded (the
seals) and compared before Chroma may open them.
"""

import hashlib
import json
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from storage.errors import BadInput

DATABASE = "chroma.sqlite3"
_SEALS = "seals.json"
_HEADER = struct.Struct("<iQQQQ")
"""How `header.bin` begins: version, offset, room for vectors, vectors, bytes of one."""


def is_sound(path: Path) -> bool:
    """Whether Chroma may open the folder: SQLite finds its file sound, the seals are unbroken."""
    if not path.exists() or not any(path.iterdir()):
        return True
    database = path / DATABASE
    if not database.is_file() or database.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(database)) as connection:
        if connection.execute("pragma quick_check").fetchone() != ("ok",):
            return False
    return _seals(path) == _read_seals(path)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file Chroma's database is, whatever its name; None when there is none."""
    try:
        stat = (path / DATABASE).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _vector_files(path: Path) -> list[Path]:
    return sorted(file for file in path.glob("*/*") if file.is_file())


def states(path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of the files of vectors: whether they need to be sealed anew."""
    found = [(str(file.relative_to(path)), file.stat()) for file in _vector_files(path)]
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found}


def _seals(path: Path) -> dict[str, str]:
    seals = {}
    for file in _vector_files(path):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        seals[str(file.relative_to(path))] = digest
    return seals


def _read_seals(path: Path) -> dict[str, str]:
    file = path / _SEALS
    return json.loads(file.read_text()) if file.exists() else {}


def write_seals(path: Path) -> None:
    """Record the hashes of the files of vectors as they are now."""
    _blank_unused(path)
    draft = path / f"{_SEALS}.draft"
    draft.write_text(json.dumps(_seals(path)))
    draft.replace(path / _SEALS)


def _blank_unused(path: Path) -> None:
    """Zeros over what Chroma's files hold behind their vectors.

    They have room for vectors to come, and Chroma writes that as it was in memory: pieces of texts
    that the process has seen, erased ones among them, were found there.
    """
    for header in path.glob("*/header.bin"):
        if header.stat().st_size < _HEADER.size:
            continue
        version, _, room, count, size = _HEADER.unpack_from(header.read_bytes())
        for name, each in (("data_level0.bin", size), ("length.bin", 4)):
            file = header.with_name(name)
            held = file.stat().st_size if version == 1 and file.is_file() else 0
            if count * each < held <= room * each:
                _blank(file, count * each)


def _blank(file: Path, start: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        rest = opened.read()
        if any(rest):
            opened.seek(start)
            opened.write(bytes(len(rest)))


def aside_of(path: Path) -> Path:
    """Where a damaged folder is kept."""
    return path.with_name(f"{path.name}.unreadable")


def move_aside(path: Path) -> None:
    """One damaged folder is kept, for a person to look at: the last."""
    aside = aside_of(path)
    try:
        if aside.exists():
            shutil.rmtree(aside)
        if path.exists():
            path.rename(aside)
        path.mkdir(mode=0o700)
    except OSError as error:
        raise BadInput(
            f"The index folder {path} is damaged and cannot be replaced ({error.strerror}): "
            "give this user the right to write there."
        ) from error
