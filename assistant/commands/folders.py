"""A folder handed out to a person: whole under its name, or not there."""

import shutil
import tempfile
from collections.abc import Iterator
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
