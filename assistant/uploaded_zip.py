"""A zip that somebody uploaded, unpacked with suspicion.

Nothing in it may name a place outside of its folder, be a link, or unpack to more than a bound
that is counted as it is written: what an archive says of its sizes is its own word.
"""

import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from storage.errors import ApprenticeError, BadInput

MOST_BYTES = 512 << 20
"""Unpacked; weights hardly shrink in a zip, so an honest one of 64 MB has some 80 MB."""
MOST_FILES = 1000
_BLOCK = 1 << 20
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""LZMA lets the archive choose how much memory it is read with."""
_ODD = re.compile(r"[\x00-\x1f\x7f\\:]")


@contextmanager
def unpacked(path: Path, holding: str, *, within: Path) -> Iterator[Path]:
    """The folder in the zip that has the file or folder `holding`, or the whole of it if none has.

    It lies in `within` until the block ends. Raises BadInput for what is no zip, or none that is
    unpacked here; what the block says of the folder names the zip instead.
    """
    with tempfile.TemporaryDirectory(prefix=".upload-", dir=within) as place:
        root = Path(place)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, root, path.name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadInput(
                f"{path.name} cannot be read as a zip ({error}): pack it anew."
            ) from None
        try:
            yield _holding(root, holding)
        except ApprenticeError as error:
            said = str(error).replace(f"{root}/", f"{path.name}: ").replace(str(root), path.name)
            raise BadInput(said) from None


def _unpack(archive: zipfile.ZipFile, root: Path, name: str) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise BadInput(f"{name} has {len(entries)} files; at most {MOST_FILES} are taken.")
    left = MOST_BYTES
    for entry in entries:
        fault = _fault(entry)
        if fault:
            raise BadInput(f"{name} holds {entry.filename[:100]!r}, which {fault}.")
        target = root.joinpath(*PurePosixPath(entry.filename).parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            left = _write(archive, entry, target, left)
        except OSError:
            raise BadInput(
                f"{name} holds {entry.filename[:100]!r} twice, or as a file and a folder."
            ) from None
        if left < 0:
            raise BadInput(f"{name} unpacks to more than {MOST_BYTES >> 20} MB: it is not taken.")


def _fault(entry: zipfile.ZipInfo) -> str:
    """Why an entry is not unpacked; '' for one that is."""
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or _ODD.search(entry.filename):
        return "is a place outside of it"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or no plain file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in _PACKINGS:
        return "is packed in a rare way: use the ordinary one (deflate)"
    return ""


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write a new file; returns what is left of the bound, below 0 when it was passed."""
    with archive.open(entry) as source, target.open("xb") as file:
        while left >= 0 and (block := source.read(_BLOCK)):
            left -= len(block)
            file.write(block)
    return left


def _holding(root: Path, wanted: str) -> Path:
    """The outermost folder that has `wanted` in it; macOS puts shadows of all files beside."""
    folders = [root, *(path for path in sorted(root.rglob("*")) if path.is_dir())]
    found = [one for one in folders if (one / wanted).exists() and "__MACOSX" not in one.parts]
    return min(found, key=lambda one: len(one.parts), default=root)
