"""A folder or file handed out to a person: whole under its name, or not there."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import BadInput


def unwritable(path: Path, error: OSError) -> BadInput:
    """The sentence for a path that the system would not let us write."""
    why = (error.strerror or str(error)).lower()
    return BadInput(f"{path} cannot be written ({why}): name another place.")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A draft beside `path` that gets its name when the block ends well.

    BadInput when something is at `path` already, or it cannot be written.
    """
    if path.exists():
        raise BadInput(f"{path} exists already: name a new folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield draft
        draft.chmod(0o755)
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_new(path: Path, pieces: Iterable[str]) -> int:
    """Write a file that did not exist (mode 0600: people's words); returns how many pieces.

    The file appears under its name when it is whole. BadInput as for `new_folder`.
    """
    if path.exists():
        raise BadInput(f"{path} exists already: name a new file.")
    count = 0
    draft = path.with_name(f".{path.name}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8", newline="") as file:
            for piece in pieces:
                file.write(piece)
                count += 1
        draft.rename(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        draft.unlink(missing_ok=True)
    return count
