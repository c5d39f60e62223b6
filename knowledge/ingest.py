"""Files into a workspace: read, cut, saved in SQLite, embedded. SQLite first, the index follows."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

import numpy as np
from sqlite_utils import Database

from knowledge.chroma_place import IndexAway
from knowledge.chunk_vectors import AT_ONCE, embed_chunks
from knowledge.documents import media_type_of
from knowledge.preparing import (
    Cut,
    FileToRead,
    Made,
    Preparer,
    PreparerFailed,
    content_hash,
    read_chunks,
)
from knowledge.search import chunks_collection
from knowledge.sections import DocumentUnreadable
from knowledge.sources import Source, leads_out, sources_in, stored_copy
from storage.datadir import DataDir
from storage.documents import (
    chunks_of,
    document_by_name,
    list_documents,
    put_document,
    remove_document,
    set_validators,
)
from storage.durable import make_folder, put
from storage.errors import ApprenticeError, NotFound, Refused
from storage.records import Chunk, Document

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder
    from knowledge.site import Page

_READER_VERSION = 2  # raise it when reading or cutting changes: unchanged files are read again
_WORDS = 20_000  # whose tokens are remembered during an ingest


@dataclass(frozen=True)
class IngestEvent:
    """What became of one file. `chunks` is how many it has now, `error` a sentence for people."""

    name: str
    status: Literal["added", "replaced", "unchanged", "removed", "failed"]
    chunks: int = 0
    error: str | None = None


@dataclass(frozen=True)
class _Taken:
    """A file that SQLite has, and the chunks that the index is still to get."""

    event: IngestEvent
    new: Sequence[int] = ()
    made: Sequence[Chunk] = ()
    """All chunks, where their vectors came with them."""
    vectors: "np.ndarray | None" = None


@dataclass(frozen=True)
class _Ingest:
    """What is the same for all files of one ingest."""

    db: Database
    datadir: DataDir
    index: "DenseIndex"
    embedder: "Embedder"
    workspace_id: int
    cut: Cut
    count_tokens: Callable[[str], int]
    """The embedder's, which is asked once for a word that comes again."""
    made: Made = lambda path: None
    """What was made of a file elsewhere."""


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
    preparer: Preparer | None = None,
) -> Iterator[IngestEvent]:
    """Ingest files, and folders with all that is in them; one event per file, in their order.

    The chunks of some files go into the index together, and then come the events of these files.
    A document is named by its file, or by its path within the folder. Unchanged files are
    skipped, changed ones replaced; what was ingested with a folder and is not in it any more is
    removed. A file that cannot be read, or that is a link out of its folder, gives a `failed`
    event and leaves its earlier version. With a `preparer` files are read, cut and embedded there,
    with the same outcome.

    Raises IndexAway and PreparerFailed; begun again, it goes on with what is missing.
    """
    work = _begun(db, datadir, index, embedder, workspace_id, max_tokens, overlap)
    if preparer is None:
        yield from _taken_in(work, paths)
        return
    paths = [*map(Path, paths)]
    with preparer(_to_read(work, paths), work.cut) as made:
        yield from _taken_in(replace(work, made=made), paths)


def _taken_in(work: _Ingest, paths: Iterable[Path]) -> Iterator[IngestEvent]:
    waiting: list[_Taken] = []
    for taken in _each_taken_in(work, paths):
        waiting.append(taken)
        # each file counts, so that many unchanged ones do not keep what was read before them
        if sum(len(one.new) or 1 for one in waiting) >= AT_ONCE:
            yield from _indexed(work, waiting)
            waiting = []
    yield from _indexed(work, waiting)


def ingest_page(
    db: Database,
    datadir: DataDir,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    page: "Page",
    *,
    max_tokens: int = 96,
    overlap: int = 16,
) -> IngestEvent:
    """Ingest a page of a website as `ingest` does a file; the document knows its address."""
    from knowledge.web_address import origin_of

    work = _begun(db, datadir, index, embedder, workspace_id, max_tokens, overlap)
    with NamedTemporaryFile(prefix="page-") as file:
        file.write(page.data)
        file.flush()
        folder = origin_of(page.address)
        source = Source(Path(file.name), page.name, folder, page.suffix, page.address)
        [event] = _indexed(work, [_ingest_file(work, source)])
    if event.status != "failed":
        set_validators(db, workspace_id, page.name, page.etag, page.last_modified)
    return event


def remove(
    db: Database, datadir: DataDir, index: "DenseIndex", workspace_id: int, name: str
) -> None:
    """Remove a document: its stored copy, its chunks in SQLite and FTS, its vectors.

    Nothing of it is found from then on; the vectors go later where the index does not answer.
    Raises NotFound for an unknown name.
    """
    document_by_name(db, workspace_id, name)
    stored_copy(datadir, workspace_id, name).unlink(missing_ok=True)
    gone = remove_document(db, workspace_id, name)
    with suppress(IndexAway):
        for collection in _chunk_collections(index, workspace_id):
            index.delete(collection, gone)


def forget_workspace(datadir: DataDir, index: "DenseIndex", workspace_id: int) -> None:
    """Remove the vectors and stored copies of a workspace that is deleted from SQLite.

    Vectors of an index that does not answer are removed when it is next filled.
    """
    with suppress(IndexAway):
        prefix = f"corrections-{workspace_id}-"
        corrections = [name for name in index.collections() if name.startswith(prefix)]
        for collection in [*_chunk_collections(index, workspace_id), *corrections]:
            index.drop(collection)
    shutil.rmtree(datadir.documents / str(workspace_id), ignore_errors=True)


def _begun(
    db: Database,
    datadir: DataDir,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    max_tokens: int,
    overlap: int,
) -> _Ingest:
    cut = Cut(min(max_tokens, embedder.max_tokens), overlap)
    count_tokens = lru_cache(_WORDS)(embedder.count_tokens)
    return _Ingest(db, datadir, index, embedder, workspace_id, cut, count_tokens)


def _each_taken_in(work: _Ingest, paths: Iterable[Path]) -> Iterator[_Taken]:
    seen: dict[str, Path] = {}
    for path in map(Path, paths):
        sources = sources_in(path)
        for source in sources:
            if leads_out(source):
                yield _Taken(_link_out(source))
            elif seen.setdefault(source.name, source.path) == source.path:
                yield _ingest_file(work, source)
            else:
                yield _Taken(_name_taken(source.name, seen[source.name]))
        if path.is_dir():
            gone = _remove_vanished(work, path, {source.name for source in sources})
            yield from map(_Taken, gone)


def _indexed(work: _Ingest, waiting: Sequence[_Taken]) -> Iterator[IngestEvent]:
    """Their events, once all of them can be found.

    None is given before, so that whoever stops reading them leaves nothing out of the index.
    """
    new = [chunk_id for taken in waiting if taken.vectors is None for chunk_id in taken.new]
    failure = None
    try:
        _put_vectors(work, [taken for taken in waiting if taken.vectors is not None])
        for _ in embed_chunks(work.db, work.index, work.embedder, work.workspace_id, new):
            pass
    except (ApprenticeError, OSError) as error:
        failure = error
    for taken in waiting:
        yield _failed(taken.event.name, failure) if failure and taken.new else taken.event
    if isinstance(failure, IndexAway):
        raise failure


def _put_vectors(work: _Ingest, waiting: Sequence[_Taken]) -> None:
    chunks = [chunk for taken in waiting for chunk in taken.made]
    vectors = [taken.vectors for taken in waiting if taken.made and taken.vectors is not None]
    if chunks:
        ids, hashes = [chunk.id for chunk in chunks], [chunk.hash for chunk in chunks]
        collection = chunks_collection(work.workspace_id, work.embedder)
        work.index.upsert(collection, ids, np.concatenate(vectors), hashes)


def _ingest_file(work: _Ingest, source: Source) -> _Taken:
    try:
        return _take_in(work, source)
    except (IndexAway, PreparerFailed):
        raise
    except (ApprenticeError, OSError) as error:
        return _Taken(_failed(source.name, error))


def _failed(name: str, error: ApprenticeError | OSError) -> IngestEvent:
    said = str(error)
    if isinstance(error, OSError):
        reason = f"The document {name!r} cannot be saved ({error.strerror}): "
        said = reason + "check the rights and the disk."
    return IngestEvent(name, "failed", error=said)


def _take_in(work: _Ingest, source: Source) -> _Taken:
    media_type = media_type_of(source.name, source.suffix)
    if not source.path.is_file():
        raise DocumentUnreadable(f"The document {source.name!r} is no file: check its path.")
    known = _known(work, source)
    if known and _is_unchanged(work, source, known):
        return _Taken(IngestEvent(source.name, "unchanged", known.chunk_count))
    stored = stored_copy(work.datadir, work.workspace_id, source.name)
    make_folder(stored.parent)
    with NamedTemporaryFile(dir=stored.parent, prefix=".draft-", delete=False) as draft:
        copy = Path(draft.name)
    try:
        # read from the copy: the file itself may be changed while it is read
        shutil.copyfile(source.path, copy)
        content, made = content_hash(copy), work.made(source.path)
        if made and made.content != content:
            made = None
        if made and made.fault:
            raise DocumentUnreadable(made.fault)
        read = FileToRead(copy, source.name, source.suffix)
        chunks = made.chunks if made else read_chunks(read, work.cut, work.count_tokens)
        # before its row: a row without a copy would pass for unchanged for ever
        put(copy, stored)
    finally:
        copy.unlink(missing_ok=True)
    taken, after = _save(work, source, media_type, _fingerprint(work, content), chunks, known)
    if made and taken.new:
        return replace(taken, made=after, vectors=made.vectors)
    return taken


def _is_unchanged(work: _Ingest, source: Source, known: Document) -> bool:
    stored = stored_copy(work.datadir, work.workspace_id, source.name)
    at_home = stored.exists() and source.folder in (None, known.folder)
    return at_home and known.hash == _fingerprint(work, content_hash(source.path))


def _to_read(work: _Ingest, paths: Iterable[Path]) -> Iterator[FileToRead]:
    """What `_take_in` will have to read; what it will refuse is left to it."""
    for source in (source for path in paths for source in sources_in(path)):
        try:
            media_type_of(source.name, source.suffix)
            known = _known(work, source)
            if not (known and _is_unchanged(work, source, known)) and not leads_out(source):
                yield FileToRead(source.path, source.name, source.suffix)
        except (ApprenticeError, OSError):
            continue


def _save(
    work: _Ingest,
    source: Source,
    media_type: str,
    fingerprint: str,
    chunks: Sequence[tuple[str, str]],
    known: Document | None,
) -> tuple[_Taken, list[Chunk]]:
    """Into SQLite, and all its chunks; what is gone of it leaves the index at once.

    Other bytes with the same text, as of a page that carries the time of day, are unchanged.
    """
    before = [chunk.id for chunk in chunks_of(work.db, known.id)] if known else []
    document = put_document(
        work.db,
        work.workspace_id,
        name=source.name,
        hash=fingerprint,
        media_type=media_type,
        chunks=chunks,
        source_url=source.url,
        folder=source.folder,
    )
    saved = chunks_of(work.db, document.id)
    after = [chunk.id for chunk in saved]
    collection = chunks_collection(work.workspace_id, work.embedder)
    work.index.delete(collection, list(set(before).difference(after)))
    changed: Literal["unchanged", "replaced"] = "unchanged" if before == after else "replaced"
    event = IngestEvent(source.name, changed if known else "added", document.chunk_count)
    return _Taken(event, [chunk_id for chunk_id in after if chunk_id not in before]), saved


def _known(work: _Ingest, source: Source) -> Document | None:
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


def _link_out(source: Source) -> IngestEvent:
    error = f"The file {source.name!r} is a link that leads out of its folder: give its own place."
    return IngestEvent(source.name, "failed", error=error)


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


def _fingerprint(work: _Ingest, content: str) -> str:
    """A hash of the file and of how it is cut: another chunk size makes it another document."""
    cut = f"{_READER_VERSION}:{work.cut.max_tokens}:{work.cut.overlap}"
    return hashlib.sha256(f"{cut}:{content}".encode()).hexdigest()
