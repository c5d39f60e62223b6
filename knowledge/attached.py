"""A conversation's own files: read as documents are, searched by themselves, indexed nowhere.

They are few and short, so every chunk is compared with the question: no index of the workspace
holds them, and no search of anybody else can meet them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlite_utils import Database

from knowledge.chunking import split_into_chunks
from knowledge.documents import MEDIA_TYPES, media_type_of, read_document
from knowledge.search import relevance
from knowledge.sections import DocumentUnreadable
from knowledge.showing import fit_passages
from storage.attachments import AttachedChunk, attached_chunks, put_vectors
from storage.records import Passage

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.embedding import Embedder
    from knowledge.lexical import LexicalIndex

AS_TEXT = (".csv", ".tsv", ".json", ".log", ".sql", ".yaml", ".yml", ".xml")
"""Ends of names that are read as plain text beside those that can be ingested."""
READABLE = (*MEDIA_TYPES, *AS_TEXT)
MOST_CHARACTERS = 300_000
"""Of one file, some hundred pages: each is embedded while its reader waits."""


class TooMuchText(DocumentUnreadable):
    """More than MOST_CHARACTERS."""


@dataclass(frozen=True)
class Own:
    """What a conversation's files have on a question."""

    relevant: tuple[Passage, ...] = ()
    """Above the floor, the best first; all of the files in reading order if they fit as a whole."""
    beginning: tuple[Passage, ...] = ()
    """How the files begin, for when nothing else is found: "what is this about?"."""
    best: float | None = None
    """Relevance of the best chunk; None: there are no files."""


def is_readable(name: str) -> bool:
    """Whether a file of this name may be attached, by its end."""
    return Path(name).suffix.lower() in READABLE


def read_attachment(
    path: Path, name: str, embedder: "Embedder", max_tokens: int
) -> list[tuple[str, str, bytes]]:
    """(heading, text, float32 vector) of each chunk of the file, which is called `name` to people.

    DocumentUnreadable as `knowledge.documents` raises it, and TooMuchText.
    """
    suffix = Path(name).suffix.lower()
    if suffix in AS_TEXT:
        suffix = ".txt"
    media_type_of(name, suffix)
    sections = read_document(path, name=name, suffix=suffix)
    if sum(len(one.text) for one in sections) > MOST_CHARACTERS:
        raise TooMuchText(f"The file {name!r} has more than {MOST_CHARACTERS:,} characters.")
    chunks = split_into_chunks(
        sections,
        count_tokens=embedder.count_tokens,
        max_tokens=min(max_tokens, embedder.max_tokens),
        overlap=0,  # the whole file may be shown: nothing in it twice
    )
    vectors = _vectors(embedder, chunks)
    return [(*chunk, vector) for chunk, vector in zip(chunks, vectors, strict=True)]


def look_into(
    db: Database,
    conversation_id: str,
    question: str,
    embedder: "Embedder",
    lexical: "LexicalIndex",
    workspace_id: int,
    *,
    floor: float,
    room: int,
    count_tokens: Callable[[str], int],
) -> Own:
    """What the conversation's files have on `question`, within `room` tokens."""
    chunks = attached_chunks(db, conversation_id)
    if not chunks:
        return Own()
    asked = embedder.embed([question])[0]
    similarities = _current(db, embedder, chunks) @ asked
    rarity = lexical.rarity(db, workspace_id, question)
    passages = [
        _passage(chunk, float(similarity), relevance(float(similarity), rarity, chunk.shown))
        for chunk, similarity in zip(chunks, similarities, strict=True)
    ]
    best = max(passage.relevance or 0.0 for passage in passages)
    # a chunk has a token at least: of a long file no more are counted than could fit
    if sum(count_tokens(passage.text) for passage in passages[: room + 1]) <= room:
        return Own(tuple(passages), best=best)
    ranked = sorted(passages, key=lambda one: -one.score)
    relevant = [one for one in ranked if (one.relevance or 0.0) >= floor]
    return Own(
        tuple(fit_passages(relevant, room, count_tokens)),
        tuple(fit_passages(passages, room, count_tokens)),
        best,
    )


def _vectors(embedder: "Embedder", chunks: Sequence[tuple[str, str]]) -> list[bytes]:
    runs = [
        (heading, [text for _, text in run]) for heading, run in groupby(chunks, lambda one: one[0])
    ]
    return [row.astype(np.float32).tobytes() for row in embedder.embed_in_context(runs)]


def _current(db: Database, embedder: "Embedder", chunks: Sequence[AttachedChunk]) -> np.ndarray:
    """The vectors as rows; those of a model that was there before are made anew, and kept."""
    rows: list[bytes] = []
    for (file, model), group in groupby(chunks, lambda one: (one.attachment_id, one.embedder)):
        own = list(group)
        vectors = [chunk.vector for chunk in own]
        if model != embedder.slug:
            vectors = _vectors(embedder, [(chunk.heading, chunk.text) for chunk in own])
            put_vectors(db, file, embedder=embedder.slug, vectors=vectors)
        rows += vectors
    return np.stack([np.frombuffer(row, np.float32) for row in rows])


def _passage(chunk: AttachedChunk, similarity: float, relevant: float) -> Passage:
    return Passage(
        *(0, 0, chunk.name, chunk.shown, chunk.hash),
        score=relevant,
        similarity=similarity,
        relevance=relevant,
    )
