"""The files of a workspace brought from one data directory to another: documents, adapters, rounds.

Search indexes are no part of it, nor copies of clients' databases: those are made again.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from storage.database import open_database, rows
from storage.datadir import DataDir
from storage.durable import sync


def folders_of(datadir: DataDir, workspace_id: int) -> list[Path]:
    """The folders that are the workspace's alone, relative to the data directory."""
    found = [Path("documents") / str(workspace_id)]
    with closing(open_database(datadir.database)) as db:
        for name in ("adapters", "rounds"):
            made = rows(db, f"select id from {name} where workspace_id = ?", workspace_id)
            found += [Path(name) / str(row["id"]) for row in made]
    return found


def bring_files(source: DataDir, target: DataDir, workspace_id: int) -> int:
    """Make the target's folders equal to the source's; returns how many files were copied.

    Size and time of change tell which file is the same already. Each copy is read again, compared
    with its source by SHA-256, and synced. Raises OSError.
    """
    copied = 0
    for folder in folders_of(source, workspace_id):
        wanted = dict(_files(source.root / folder))
        for name, path in wanted.items():
            copied += _bring(path, target.root / folder / name)
        for name, path in _files(target.root / folder):
            if name not in wanted:
                path.unlink()
    return copied


def delete_folders(datadir: DataDir, folders: list[Path]) -> None:
    """Delete these folders; one that is gone is no error."""
    for folder in folders:
        shutil.rmtree(datadir.root / folder, ignore_errors=True)


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each file's name in the folder and its path, in order; drafts and links are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield name, path


def _bring(path: Path, place: Path) -> bool:
    here = path.stat()
    if place.is_file():
        there = place.stat()
        if (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns):
            return False
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.arriving")
    shutil.copy2(path, draft)
    sync(draft)
    if _sha256(draft) != _sha256(path):
        raise OSError(errno.EIO, "a copy is not what was copied", str(path))
    os.replace(draft, place)
    sync(place.parent)
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
