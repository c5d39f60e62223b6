"""The tar file of a backup, read: its names are checked, its files compared with its manifest."""

import hashlib
import json
import os
import tarfile
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Any

from storage.database import faults, open_database, rows
from storage.errors import BadInput

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "apprentice.db"
FOLDERS = ("documents", "adapters", "client-databases", "secrets", "certificates")
LARGEST_MANIFEST = 64 << 20
"""It is read whole; 200 bytes a file are room for 300,000."""
_BLOCK = 1 << 20


def unpacked(path: Path, into: Path, *, only_database: bool = False) -> dict[str, Any]:
    """Unpack into `into` what the manifest names, all of it verified; returns the manifest.

    BadInput for any other file. With `only_database` the rest is compared and not kept.
    """
    if not path.is_file():
        raise BadInput(f"There is no backup {path}: check its name.")
    try:
        with tarfile.open(path, "r:*") as tar:
            found, manifest = _taken(tar, into, only_database)
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
        said = (str(error).splitlines() or [repr(error)])[0].rstrip(".")
        raise BadInput(f"{path} is no backup, or a damaged one: {said}.") from error
    if found != manifest["files"] or DATABASE not in found:
        wrong = sorted(set(found) ^ set(manifest["files"])) or [
            name for name, facts in found.items() if facts != manifest["files"][name]
        ]
        raise BadInput(f"The backup {path} is damaged: {wrong[0]} is not what was saved.")
    _check_database(path, into / DATABASE)
    return manifest


def _taken(
    tar: tarfile.TarFile, into: Path, only_database: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Size and hash of each file with the manifest; files are written under checked names."""
    found: dict[str, Any] = {}
    for entry in tar:
        name = _safe(entry)
        if name in found:
            raise ValueError(f"{name} is in it twice")
        file = tar.extractfile(entry)
        assert file is not None
        if name == MANIFEST:
            if entry.size > LARGEST_MANIFEST:
                raise ValueError(f"its manifest has more than {LARGEST_MANIFEST >> 20} MiB")
            return found, _manifest(file.read())
        keep = name == DATABASE or not only_database
        found[name] = _save(file, into / name if keep else None)
    raise ValueError("its manifest is missing, so its writing did not finish")


def _safe(entry: tarfile.TarInfo) -> str:
    """The name of a plain file in a place that we know; anything else is refused."""
    parts = PurePosixPath(entry.name).parts
    known = entry.name in (DATABASE, MANIFEST) or (len(parts) > 1 and parts[0] in FOLDERS)
    odd = ".." in parts or "\\" in entry.name or "\0" in entry.name
    if not entry.isreg() or not known or odd or "/".join(parts) != entry.name:
        raise ValueError(f"{entry.name[:100]!r} does not belong into a backup")
    return entry.name


def _manifest(text: bytes) -> dict[str, Any]:
    manifest = json.loads(text)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ValueError("its manifest names no files")
    if manifest.get("format") != FORMAT:
        raise ValueError(f"its format is {manifest.get('format')!r}, not {FORMAT}")
    return manifest


def _save(file: IO[bytes], target: Path | None) -> dict[str, Any]:
    sha256, size = hashlib.sha256(), 0
    if target is not None:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        open(os.devnull, "wb")
        if target is None
        else os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    ) as out:
        while block := file.read(_BLOCK):
            sha256.update(block)
            size += len(block)
            out.write(block)
    return {"bytes": size, "sha256": sha256.hexdigest()}


def _check_database(path: Path, database: Path) -> None:
    with closing(open_database(database)) as db:
        wrong = [str(next(iter(row.values()))) for row in rows(db, "pragma integrity_check")]
        wrong = [text for text in wrong if text != "ok"] or faults(db)
    if wrong:
        raise BadInput(f"The database in the backup {path} is damaged: {wrong[0]}.")
