"""The vectors of a workspace's chunks: in the dense index, made from what SQLite holds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sqlite_utils import Database

from knowledge.search import chunks_collection
from storage.documents import chunk_hashes, chunks_of, documents_of
from storage.records import Chunk

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder

AT_ONCE = 64
"""Chunks between two writes to the index: each costs Chroma 30 ms, with one chunk or with all."""
_NEIGHBOURS = 2  # chunks of 96 tokens that the embedder sees beside one


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
    if missing:
        with index.filling(collection):
            for done in embed_chunks(db, index, embedder, workspace_id, missing):
                if on_progress:
                    on_progress(done, len(missing))
    return len(missing)


def embed_chunks(
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
        vectors = embedder.embed_in_context(
            [(run[0].heading, [chunk.text for chunk in run]) for run in runs]
        )
        index.upsert(
            collection, [chunk.id for chunk in chunks], vectors, [chunk.hash for chunk in chunks]
        )
        done += sum(chunk.id in new for chunk in chunks)
        yield done


def whole_runs(chunks: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """A new document's (heading, text) as (heading, texts) that are embedded together.

    Cut as `embed_chunks` cuts a document of which every chunk is new.
    """
    runs: list[tuple[str, list[str]]] = []
    for heading, group in groupby(chunks, key=lambda chunk: chunk[0]):
        texts = [text for _, text in group]
        parts = range(0, len(texts), AT_ONCE)
        runs += [(heading, texts[start : start + AT_ONCE]) for start in parts]
    return runs


def _stretches(chunks: Iterable[Chunk], new: set[int]) -> Iterator[list[Chunk]]:
    """Of each section what reaches from its first to its last new chunk, and the neighbours."""
    for _, group in groupby(chunks, key=lambda chunk: chunk.heading):
        section = list(group)
        places = [place for place, chunk in enumerate(section) if chunk.id in new]
        if places:
            yield section[max(0, places[0] - _NEIGHBOURS) : places[-1] + 1 + _NEIGHBOURS]


def _batches(stretches: Iterable[list[Chunk]]) -> Iterator[list[list[Chunk]]]:
    """Runs of at most `AT_ONCE` chunks, together until they have as many."""
    batch: list[list[Chunk]] = []
    for stretch in stretches:
        for start in range(0, len(stretch), AT_ONCE):
            batch.append(stretch[start : start + AT_ONCE])
            if sum(map(len, batch)) >= AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch
