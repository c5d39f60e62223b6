"""Files into a workspace: read, cut, saved in SQLite, embedded. SQLite first, the index follows."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from sqlite_utils import Database

from knowledge.chunking import split_into_chunks
from knowledge.documents import media_type_of, read_document
from knowledge.search import chunks_collection
from knowledge.sections import DocumentUnreadable
from storage.datadir import DataDir
from storage.documents import (
    chunk_hashes,
    chunks_of,
    document_by_name,
    documents_of,
    list_documents,
    put_document,
    remove_document,
)
from storage.errors import ApprenticeError, NotFound, Refused
from storage.records import Chunk, Document
from storage.text import clean

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder

_READER_VERSION = 1  # raise it when reading or cutting changes: unchanged files are read again
_AT_ONCE = 64  # chunks between two writes to the index
_NEIGHBOURS = 2  # chunks of 96 tokens that the embedder sees beside one


@dataclass(frozen=True)
class IngestEvent:
    """What became of one file. `chunks` is how many it has now, `error` a sentence for people."""

    name: str
    status: Literal["added", "replaced", "unchanged", "removed", "failed"]
    chunks: int = 0
    error: str | None = None


@dataclass(frozen=True)
class _Source:
    path: Path
    name: str
    folder: str | None


@dataclass(frozen=True)
class _Ingest:
    """What is the same for all files of one ingest."""

    db: Database
    datadir: DataDir
    index: "DenseIndex"
    embedder: "Embedder"
    workspace_id: int
    max_tokens: int
    overlap: int


def ingest(
    db: Database,
    datadir: DataDir,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    paths: Iterable[Path],
    *,
    max_tokens: int = 96,
    overlap: int = 16,
) -> Iterator[IngestEvent]:
    """Ingest files, and folders with all that is in them; one event per file, as it is done.

    A document is named by its file, or by its path within the folder. Unchanged files are
    skipped, changed ones replaced; what was ingested with a folder and is not in it any more is
    removed. A file that cannot be read gives a `failed` event and leaves its earlier version.
    """
    max_tokens = min(max_tokens, embedder.max_tokens)
    work = _Ingest(db, datadir, index, embedder, workspace_id, max_tokens, overlap)
    seen: dict[str, Path] = {}
    for path in map(Path, paths):
        sources = _sources(path)
        for source in sources:
            if seen.setdefault(source.name, source.path) == source.path:
                yield _ingest_file(work, source)
            else:
                yield _name_taken(source.name, seen[source.name])
        if path.is_dir():
            yield from _remove_vanished(work, path, {source.name for source in sources})


def remove(
    db: Database, datadir: DataDir, index: "DenseIndex", workspace_id: int, name: str
) -> None:
    """Remove a document: its stored copy, its chunks in SQLite and FTS, its vectors.

    Raises NotFound for an unknown name.
    """
    document_by_name(db, workspace_id, name)
    stored_copy(datadir, workspace_id, name).unlink(missing_ok=True)
    gone = remove_document(db, workspace_id, name)
    for collection in _chunk_collections(index, workspace_id):
        index.delete(collection, gone)


def forget_workspace(datadir: DataDir, index: "DenseIndex", workspace_id: int) -> None:
    """Remove the vectors and stored copies of a workspace that is deleted from SQLite."""
    prefix = f"corrections-{workspace_id}-"
    corrections = [name for name in index.collections() if name.startswith(prefix)]
    for collection in [*_chunk_collections(index, workspace_id), *corrections]:
        index.drop(collection)
    shutil.rmtree(datadir.documents / str(workspace_id), ignore_errors=True)


def sync_index(
    db: Database,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Make the dense index equal to SQLite; returns how many chunks were embedded.

    Costs little when they are equal, and goes on where it was when interrupted.
    `on_progress` is told (chunks embedded, chunks to embed).
    """
    collection = chunks_collection(workspace_id, embedder)
    wanted, indexed = chunk_hashes(db, workspace_id), index.hashes(collection)
    index.delete(collection, [chunk_id for chunk_id in indexed if chunk_id not in wanted])
    missing = [chunk_id for chunk_id, hash in wanted.items() if indexed.get(chunk_id) != hash]
    for done in _embed_chunks(db, index, embedder, workspace_id, missing):
        if on_progress:
            on_progress(done, len(missing))
    return len(missing)


def stored_copy(datadir: DataDir, workspace_id: int, name: str) -> Path:
    """Where the copy of the document called `name` lies."""
    stem, suffix = os.path.splitext(clean(name))
    readable = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[-60:]
    digest = hashlib.sha256(clean(name).encode()).hexdigest()[:16]
    return datadir.documents / str(workspace_id) / f"{readable}-{digest}{suffix.lower()}"


def _sources(path: Path) -> list[_Source]:
    """The file itself, or the files of a folder without hidden ones and editors' lock files."""
    if not path.is_dir():
        return [_Source(path, clean(path.name), None)]
    folder = path.resolve()
    inside = [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
    return [
        _Source(file, clean(name.as_posix()), str(folder))
        for file, name in inside
        if not any(part.startswith((".", "~$")) for part in name.parts)
    ]


def _ingest_file(work: _Ingest, source: _Source) -> IngestEvent:
    try:
        return _take_in(work, source)
    except ApprenticeError as error:
        return IngestEvent(source.name, "failed", error=str(error))
    except OSError as error:
        reason = f"The document {source.name!r} cannot be copied ({error.strerror}): "
        return IngestEvent(source.name, "failed", error=reason + "check the rights and the disk.")


def _take_in(work: _Ingest, source: _Source) -> IngestEvent:
    media_type = media_type_of(source.name)
    if not source.path.is_file():
        raise DocumentUnreadable(f"The document {source.name!r} is no file: check its path.")
    known = _known(work, source)
    stored = stored_copy(work.datadir, work.workspace_id, source.name)
    at_home = known and stored.exists() and source.folder in (None, known.folder)
    if known and at_home and known.hash == _fingerprint(work, source.path):
        return IngestEvent(source.name, "unchanged", known.chunk_count)
    stored.parent.mkdir(mode=0o700, exist_ok=True)
    with NamedTemporaryFile(dir=stored.parent, prefix=".draft-", delete=False) as draft:
        copy = Path(draft.name)
    try:
        # read from the copy: the file itself may be changed while it is read
        shutil.copyfile(source.path, copy)
        chunks = split_into_chunks(
            read_document(copy, name=source.name),
            count_tokens=work.embedder.count_tokens,
            max_tokens=work.max_tokens,
            overlap=work.overlap,
        )
        fingerprint = _fingerprint(work, copy)
        # before its row: a row without a copy would pass for unchanged for ever
        copy.replace(stored)
    finally:
        copy.unlink(missing_ok=True)
    document = _save(work, source, media_type, fingerprint, chunks, known)
    return IngestEvent(source.name, "replaced" if known else "added", document.chunk_count)


def _save(
    work: _Ingest,
    source: _Source,
    media_type: str,
    fingerprint: str,
    chunks: Sequence[tuple[str, str]],
    known: Document | None,
) -> Document:
    """Into SQLite, then what is new of it into the index."""
    before = {chunk.id for chunk in chunks_of(work.db, known.id)} if known else set()
    document = put_document(
        work.db,
        work.workspace_id,
        name=source.name,
        hash=fingerprint,
        media_type=media_type,
        chunks=chunks,
        folder=source.folder,
    )
    after = [chunk.id for chunk in chunks_of(work.db, document.id)]
    collection = chunks_collection(work.workspace_id, work.embedder)
    work.index.delete(collection, list(before.difference(after)))
    new = [chunk_id for chunk_id in after if chunk_id not in before]
    for _ in _embed_chunks(work.db, work.index, work.embedder, work.workspace_id, new):
        pass
    return document


def _embed_chunks(
    db: Database,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    ids: Sequence[int],
) -> Iterator[int]:
    """Put the vectors of the chunks `ids` into the index; yields how many are, now and then.

    Their neighbours get theirs anew, for a vector holds something of what stands around its text.
    """
    collection, new, done = chunks_collection(workspace_id, embedder), set(ids), 0
    stretches = (
        stretch
        for document_id in documents_of(db, ids)
        for stretch in _stretches(chunks_of(db, document_id), new)
    )
    for runs in _batches(stretches):
        chunks = [chunk for run in runs for chunk in run]
        vectors = embedder.embed_in_context([[chunk.shown for chunk in run] for run in runs])
        index.upsert(
            collection, [chunk.id for chunk in chunks], vectors, [chunk.hash for chunk in chunks]
        )
        done += sum(chunk.id in new for chunk in chunks)
        yield done


def _stretches(chunks: Iterable[Chunk], new: set[int]) -> Iterator[list[Chunk]]:
    """Of each section what reaches from its first to its last new chunk, and the neighbours."""
    for _, group in groupby(chunks, key=lambda chunk: chunk.heading):
        section = list(group)
        places = [place for place, chunk in enumerate(section) if chunk.id in new]
        if places:
            yield section[max(0, places[0] - _NEIGHBOURS) : places[-1] + 1 + _NEIGHBOURS]


def _batches(stretches: Iterable[list[Chunk]]) -> Iterator[list[list[Chunk]]]:
    """Runs of at most `_AT_ONCE` chunks together."""
    batch: list[list[Chunk]] = []
    room = _AT_ONCE
    for stretch in stretches:
        for start in range(0, len(stretch), _AT_ONCE):
            run = stretch[start : start + _AT_ONCE]
            if len(run) > room:
                yield batch
                batch, room = [], _AT_ONCE
            batch.append(run)
            room -= len(run)
    if batch:
        yield batch


def _known(work: _Ingest, source: _Source) -> Document | None:
    """The document of this name; Refused when it is another folder's, and still there."""
    try:
        known = document_by_name(work.db, work.workspace_id, source.name)
    except NotFound:
        return None
    other = known.folder if known.folder != source.folder and source.folder else None
    if other and (Path(other) / source.name).is_file():
        raise Refused(
            f"The name {source.name!r} is taken by a document from the folder {other}: "
            "rename one of them, or use another workspace."
        )
    return known


def _name_taken(name: str, first: Path) -> IngestEvent:
    error = f"The name {name!r} is taken by {first}, which was given first: rename one of them."
    return IngestEvent(name, "failed", error=error)


def _remove_vanished(work: _Ingest, folder: Path, names: set[str]) -> Iterator[IngestEvent]:
    if not names:
        # rather a disk that is not mounted than a wish to lose everything
        error = f"The folder {str(folder)!r} holds no files: nothing was added or removed."
        yield IngestEvent(folder.name, "failed", error=error)
        return
    root = str(folder.resolve())
    for document in list_documents(work.db, work.workspace_id):
        if document.folder == root and document.name not in names:
            remove(work.db, work.datadir, work.index, work.workspace_id, document.name)
            yield IngestEvent(document.name, "removed")


def _chunk_collections(index: "DenseIndex", workspace_id: int) -> list[str]:
    """Of all embedders that were ever used in the workspace."""
    return [name for name in index.collections() if name.startswith(f"chunks-{workspace_id}-")]


def _fingerprint(work: _Ingest, path: Path) -> str:
    """A hash of the file and of how it is cut: another chunk size makes it another document."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    cut = f"{_READER_VERSION}:{work.max_tokens}:{work.overlap}"
    return hashlib.sha256(f"{cut}:{content}".encode()).hexdigest()
