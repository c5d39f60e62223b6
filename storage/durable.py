"""Files that stay when the power fails: synced, and so is the folder that names them.

A rename is durable after fsync on its folder, a file's bytes after fsync on the file, and neither
before (POSIX; Pillai et al., OSDI 2014). A row that tells of a file is committed after both.
"""

import errno
import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or the names in a folder. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make the folder (mode 0700), unless it is there; its name is synced. Raises OSError."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    sync(folder.parent)


def put(draft: Path, place: Path) -> None:
    """Rename a finished file or folder to `place`, where no other folder may be; all of it synced.

    From another mount (adapters on a share of their own) it is copied beside first. Raises OSError.
    """
    if draft.is_dir():
        for folder, _, names in os.walk(draft):
            for name in names:
                sync(Path(folder) / name)
            sync(Path(folder))
    else:
        sync(draft)
    try:
        os.replace(draft, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _put_from_afar(draft, place)
    sync(place.parent)


def _put_from_afar(draft: Path, place: Path) -> None:
    beside = place.with_name(f".{place.name}.arriving")
    _remove(beside)  # one that a crash has left
    try:
        (shutil.copytree if draft.is_dir() else shutil.copy2)(draft, beside)
        put(beside, place)
    finally:
        _remove(beside)
    _remove(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put_text(place: Path, text: str) -> None:
    """Write `place` (mode 0600) whole or not at all, instead of what it held. Raises OSError."""
    draft = place.with_name(f".{place.name}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    put(draft, place)
