"""The files that are taken in, one or those of a folder, and where their copies lie."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from storage.datadir import DataDir
from storage.text import clean

_SUFFIX = re.compile(r"\.\w{1,10}")


@dataclass(frozen=True)
class Source:
    """A file on its way in."""

    path: Path
    name: str
    folder: str | None
    """The folder that it was given with; of a page its scheme and host."""
    suffix: str | None = None
    """How files of its type end, where its name does not tell."""
    url: str | None = None


def sources_in(path: Path) -> list[Source]:
    """The file itself, or the files of a folder without hidden ones and editors' lock files."""
    if not path.is_dir():
        return [Source(path, clean(path.name), None)]
    folder = path.resolve()
    inside = [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
    return [
        Source(file, clean(name.as_posix()), str(folder))
        for file, name in inside
        if not any(part.startswith((".", "~$")) for part in name.parts)
    ]


def leads_out(source: Source) -> bool:
    """Whether it is a link out of its folder: whoever may write there could otherwise have any file
    of ours taken in."""
    return bool(source.folder) and not source.path.resolve().is_relative_to(str(source.folder))


def stored_copy(datadir: DataDir, workspace_id: int, name: str) -> Path:
    """Where the copy of the document called `name` lies."""
    stem, suffix = os.path.splitext(clean(name))
    readable = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[-60:]
    digest = hashlib.sha256(clean(name).encode()).hexdigest()[:16]
    # the name of a page may end in anything
    end = suffix.lower() if _SUFFIX.fullmatch(suffix) else ""
    return datadir.documents / str(workspace_id) / f"{readable}-{digest}{end}"
