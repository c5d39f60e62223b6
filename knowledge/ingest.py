"""Files into a workspace: read, cut, saved in SQLite, embedded. SQLite first, the index follows."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from sqlite_utils import Database

from knowledge.chunk_vectors import AT_ONCE, embed_chunks
from knowledge.chunking import split_into_chunks
from knowledge.documents import media_type_of, read_document
from knowledge.search import chunks_collection
from knowledge.sections import DocumentUnreadable
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
from storage.records import Document
from storage.text import clean

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder
    from knowledge.site import Page

_READER_VERSION = 2  # raise it when reading or cutting changes: unchanged files are read again
_WORDS = 20_000  # whose tokens are remembered during an ingest
_SUFFIX = re.compile(r"\.\w{1,10}")


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
    """The folder that it was given with; of a page its scheme and host."""
    suffix: str | None = None
    """How files of its type end, where its name does not tell."""
    url: str | None = None


@dataclass(frozen=True)
class _Taken:
    """A file that SQLite has, and the chunks that the index is still to get."""

    event: IngestEvent
    new: Sequence[int] = ()


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
    count_tokens: Callable[[str], int]
    """The embedder's, which is asked once for a word that comes again."""


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
    """Ingest files, and folders with all that is in them; one event per file, in their order.

    The chunks of some files go into the index together, and then come the events of these files.
    A document is named by its file, or by its path within the folder. Unchanged files are
    skipped, changed ones replaced; what was ingested with a folder and is not in it any more is
    removed. A file that cannot be read, or that is a link out of its folder, gives a `failed`
    event and leaves its earlier version.
    """
    work = _begun(db, datadir, index, embedder, workspace_id, max_tokens, overlap)
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
        source = _Source(Path(file.name), page.name, folder, page.suffix, page.address)
        [event] = _indexed(work, [_ingest_file(work, source)])
    if event.status != "failed":
        set_validators(db, workspace_id, page.name, page.etag, page.last_modified)
    return event


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


def stored_copy(datadir: DataDir, workspace_id: int, name: str) -> Path:
    """Where the copy of the document called `name` lies."""
    stem, suffix = os.path.splitext(clean(name))
    readable = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[-60:]
    digest = hashlib.sha256(clean(name).encode()).hexdigest()[:16]
    # the name of a page may end in anything
    end = suffix.lower() if _SUFFIX.fullmatch(suffix) else ""
    return datadir.documents / str(workspace_id) / f"{readable}-{digest}{end}"


def _begun(
    db: Database,
    datadir: DataDir,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    max_tokens: int,
    overlap: int,
) -> _Ingest:
    max_tokens = min(max_tokens, embedder.max_tokens)
    count_tokens = lru_cache(_WORDS)(embedder.count_tokens)
    return _Ingest(db, datadir, index, embedder, workspace_id, max_tokens, overlap, count_tokens)


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


def _each_taken_in(work: _Ingest, paths: Iterable[Path]) -> Iterator[_Taken]:
    seen: dict[str, Path] = {}
    for path in map(Path, paths):
        sources = _sources(path)
        for source in sources:
            if source.folder and not source.path.resolve().is_relative_to(source.folder):
                yield _Taken(_leads_out(source))
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
    new = [chunk_id for taken in waiting for chunk_id in taken.new]
    failure = None
    try:
        for _ in embed_chunks(work.db, work.index, work.embedder, work.workspace_id, new):
            pass
    except (ApprenticeError, OSError) as error:
        failure = error
    for taken in waiting:
        yield _failed(taken.event.name, failure) if failure and taken.new else taken.event


def _ingest_file(work: _Ingest, source: _Source) -> _Taken:
    try:
        return _take_in(work, source)
    except (ApprenticeError, OSError) as error:
        return _Taken(_failed(source.name, error))


def _failed(name: str, error: ApprenticeError | OSError) -> IngestEvent:
    said = str(error)
    if isinstance(error, OSError):
        reason = f"The document {name!r} cannot be saved ({error.strerror}): "
        said = reason + "check the rights and the disk."
    return IngestEvent(name, "failed", error=said)


def _take_in(work: _Ingest, source: _Source) -> _Taken:
    media_type = media_type_of(source.name, source.suffix)
    if not source.path.is_file():
        raise DocumentUnreadable(f"The document {source.name!r} is no file: check its path.")
    known = _known(work, source)
    stored = stored_copy(work.datadir, work.workspace_id, source.name)
    at_home = known and stored.exists() and source.folder in (None, known.folder)
    if known and at_home and known.hash == _fingerprint(work, source.path):
        return _Taken(IngestEvent(source.name, "unchanged", known.chunk_count))
    make_folder(stored.parent)
    with NamedTemporaryFile(dir=stored.parent, prefix=".draft-", delete=False) as draft:
        copy = Path(draft.name)
    try:
        # read from the copy: the file itself may be changed while it is read
        shutil.copyfile(source.path, copy)
        chunks = split_into_chunks(
            read_document(copy, name=source.name, suffix=source.suffix),
            count_tokens=work.count_tokens,
            max_tokens=work.max_tokens,
            overlap=work.overlap,
        )
        fingerprint = _fingerprint(work, copy)
        # before its row: a row without a copy would pass for unchanged for ever
        put(copy, stored)
    finally:
        copy.unlink(missing_ok=True)
    return _save(work, source, media_type, fingerprint, chunks, known)


def _save(
    work: _Ingest,
    source: _Source,
    media_type: str,
    fingerprint: str,
    chunks: Sequence[tuple[str, str]],
    known: Document | None,
) -> _Taken:
    """Into SQLite; what is gone of it leaves the index at once.

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
    after = [chunk.id for chunk in chunks_of(work.db, document.id)]
    collection = chunks_collection(work.workspace_id, work.embedder)
    work.index.delete(collection, list(set(before).difference(after)))
    changed: Literal["unchanged", "replaced"] = "unchanged" if before == after else "replaced"
    event = IngestEvent(source.name, changed if known else "added", document.chunk_count)
    return _Taken(event, [chunk_id for chunk_id in after if chunk_id not in before])


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


def _leads_out(source: _Source) -> IngestEvent:
    """Whoever may write into a folder could otherwise have any file of ours taken in."""
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


def _fingerprint(work: _Ingest, path: Path) -> str:
    """A hash of the file and of how it is cut: another chunk size makes it another document."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    cut = f"{_READER_VERSION}:{work.max_tokens}:{work.overlap}"
    return hashlib.sha256(f"{cut}:{content}".encode()).hexdigest()
