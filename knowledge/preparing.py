"""Files to chunks with their vectors, wherever that is done: here, or in tasks of a cluster."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knowledge.chunk_vectors import whole_runs
from knowledge.chunking import split_into_chunks
from knowledge.documents import read_document
from storage.errors import ApprenticeError

if TYPE_CHECKING:  # its libraries take seconds to import
    from knowledge.embedding import Embedder


class PreparerFailed(ApprenticeError):
    """Whoever prepares the files ended before all were read."""


@dataclass(frozen=True)
class FileToRead:
    """A file; `name` is what to call it, `suffix` how files of its type end, if that differs."""

    path: Path
    name: str
    suffix: str | None = None


@dataclass(frozen=True)
class Cut:
    """How texts are cut: tokens of a chunk at most, and tokens that neighbours share."""

    max_tokens: int
    overlap: int


@dataclass(frozen=True)
class Prepared:
    """What was made of a file: (heading, text) and vector of each chunk, or why there is none."""

    path: Path
    content: str
    """sha256 of the bytes that were read; "" when they changed meanwhile."""
    chunks: Sequence[tuple[str, str]]
    vectors: np.ndarray
    """float32 (chunks, dimension)"""
    fault: str | None = None


Made = Callable[[Path], Prepared | None]
"""What was made of a file that was announced; None for another one. In the order of the files."""
Preparer = Callable[[Iterable[FileToRead], Cut], AbstractContextManager[Made]]


def content_hash(path: Path) -> str:
    """sha256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_chunks(
    file: FileToRead, cut: Cut, count_tokens: Callable[[str], int]
) -> list[tuple[str, str]]:
    """(heading, text) of its chunks. Raises DocumentUnreadable."""
    return split_into_chunks(
        read_document(file.path, name=file.name, suffix=file.suffix),
        count_tokens=count_tokens,
        max_tokens=cut.max_tokens,
        overlap=cut.overlap,
    )


def prepare(
    files: Iterable[FileToRead],
    cut: Cut,
    embedder: "Embedder",
    count_tokens: Callable[[str], int],
) -> list[Prepared]:
    """Each file with what was made of it; their chunks are embedded together."""
    read = [_read(file, cut, count_tokens) for file in files]
    runs = [run for one in read for run in whole_runs(one.chunks)]
    vectors = embedder.embed_in_context(runs)
    made, start = [], 0
    for one in read:
        end = start + len(one.chunks)
        made.append(Prepared(one.path, one.content, one.chunks, vectors[start:end], one.fault))
        start = end
    return made


def _read(file: FileToRead, cut: Cut, count_tokens: Callable[[str], int]) -> Prepared:
    content, fault = "", None
    chunks: list[tuple[str, str]] = []
    try:
        content = content_hash(file.path)
        chunks = read_chunks(file, cut, count_tokens)
        content = content if content_hash(file.path) == content else ""
    except ApprenticeError as error:
        fault = str(error)
    except OSError:  # whoever asks meets it too, and has the words
        content = ""
    return Prepared(file.path, content, chunks, np.zeros((0, 0), np.float32), fault)


def as_text(made: Prepared) -> str:
    """One line of ASCII: a path may be no Unicode."""
    said = {
        "path": str(made.path),
        "content": made.content,
        "chunks": [*made.chunks],
        "dimension": made.vectors.shape[1],
        "vectors": base64.b64encode(made.vectors.astype("<f4").tobytes()).decode(),
        "fault": made.fault,
    }
    return json.dumps(said)


def from_text(text: str | bytes) -> Prepared:
    """What `as_text` wrote."""
    said = json.loads(text)
    flat = np.frombuffer(base64.b64decode(said["vectors"]), "<f4").astype(np.float32)
    return Prepared(
        path=Path(said["path"]),
        content=said["content"],
        chunks=[(heading, text) for heading, text in said["chunks"]],
        vectors=flat.reshape(-1, max(1, said["dimension"])),
        fault=said["fault"],
    )
