"""The base model in packages of a Ray job's runtime environment: cut here, put together there.

Ray names a package by its content and every node keeps it, so a base goes up once and each node
fetches it once, whatever number of rounds it trains. A package lies in the memory of the head.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from storage.errors import BadInput
from tuning.runners.depot import BASE_FILES, OWN_RECORD

PACKAGE_BYTES = 64 << 20
"""Of one package; Ray (2.60) takes up to 512 MB in one message and unpacks it in memory."""
MOST_BYTES = 2 << 30
"""Of a base that goes through the head's memory; a larger one is put on the nodes by hand."""
NAME = "apprentice_base_"
_MARK = ".piece"


def cut_base(base: Path, to: Path) -> list[Path]:
    """The base's canonical files in folders below `to`, each small enough for a package.

    Raises BadInput for one that is too large.
    """
    files = sorted({path for mask in BASE_FILES for path in base.glob(mask)})
    files = [path for path in files if path.name != OWN_RECORD]
    size = sum(path.stat().st_size for path in files)
    if size > MOST_BYTES:
        raise BadInput(
            f"The base model has {size / 1e9:.1f} GB, and {MOST_BYTES / 1e9:.1f} GB are the most "
            "that goes through the cluster's head: copy its folder to every node and name it in "
            "APPRENTICE_RAY_BASE."
        )
    folders: list[Path] = []
    room = 0
    for path in files:
        for number, piece in enumerate(_pieces(path)):
            if not folders or len(piece) > room:
                folders.append(to / f"{NAME}{len(folders):03}")
                folders[-1].mkdir(parents=True)
                room = PACKAGE_BYTES
            (folders[-1] / f"{path.name}{_MARK}{number:05}").write_bytes(piece)
            room -= len(piece)
    return folders


def join_base(to: Path, places: list[str] | None = None) -> Path:
    """Puts the base together in `to` from the packages on Python's path; returns it.

    Raises BadInput where there are none.
    """
    found = sorted(
        piece
        for place in (sys.path if places is None else places)
        for piece in Path(place).glob(f"{NAME}*/*{_MARK}*")
    )
    if not found:
        raise BadInput("The base model did not come to this node: start again.")
    to.mkdir(parents=True, exist_ok=True)
    # by number: the packages of a file lie in folders whose order is not theirs
    for piece in sorted(found, key=lambda path: path.name):
        name, _, _ = piece.name.rpartition(_MARK)
        with (to / name).open("ab") as file:
            file.write(piece.read_bytes())
    return to


def _pieces(path: Path) -> Iterator[bytes]:
    """The file's content, one empty piece for an empty file."""
    with path.open("rb") as file:
        yield file.read(PACKAGE_BYTES)
        while piece := file.read(PACKAGE_BYTES):
            yield piece
