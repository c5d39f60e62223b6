"""What travels between the server and a machine elsewhere: folders in one archive.

One file is there whole or not at all, and takes one request where our sources alone are 100 files.
"""

import tarfile
from collections.abc import Mapping
from pathlib import Path

import storage
import tuning
from storage.errors import BadInput

ROOMS = {"storage": storage, "tuning": tuning}
"""The sources that a training needs."""
_SOURCES = (".py", ".jsonl")


def pack(place: Path, folders: Mapping[str, Path], *, with_code: bool = False) -> Path:
    """The files and folders by their names in the archive `place`; returns it.

    `with_code` puts our sources in `code/`, so that the same ones train there.
    """
    # 1: a bundle's text shrinks to a quarter, and weights not at all at any level
    with tarfile.open(place, "w:gz", compresslevel=1) as archive:
        for name, folder in folders.items():
            archive.add(folder, name)
        if with_code:
            for name, package in ROOMS.items():
                archive.add(Path(str(package.__file__)).parent, f"code/{name}", filter=_source)
    return place


def unpack(archive: Path, to: Path) -> None:
    """The archive's files below `to`; nothing outside it. Raises BadInput for a damaged one."""
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(to, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BadInput(f"{archive.name} cannot be unpacked: {error}.") from None


def _source(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    wanted = entry.isdir() or entry.name.endswith(_SOURCES)
    return entry if wanted and "__pycache__" not in entry.name else None
