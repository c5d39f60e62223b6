"""Passages and questions as points on a plane: where questions lie far from every document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlite_utils import Database

from knowledge.search import chunks_collection
from storage.documents import chunk_ids, live_chunks

if TYPE_CHECKING:  # their libraries take seconds to import
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder

MOST_PASSAGES = 2000
"""Passages on the map at most: of more, every n-th in reading order."""
MOST_QUESTIONS = 200
_AT_ONCE = 32  # questions between two words on the progress
_NEAREST = 3  # hits of a question: the first may be gone from SQLite

OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class Placed:
    """A passage, by its document."""

    x: float
    y: float
    document: str


@dataclass(frozen=True)
class Question:
    """A question with the nearest document of all, by cosine similarity."""

    x: float
    y: float
    text: str
    nearest: str
    similarity: float


@dataclass(frozen=True)
class DocumentMap:
    """`shown`: the part of the differences between all vectors that the plane shows, 0 to 1."""

    passages: tuple[Placed, ...]
    questions: tuple[Question, ...]
    """The farthest from every document first."""
    all_passages: int
    all_questions: int
    shown: float


def document_map(
    db: Database,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    questions: Sequence[str],
    *,
    most_passages: int = MOST_PASSAGES,
    most_questions: int = MOST_QUESTIONS,
    on_progress: OnProgress = lambda share, note: None,
) -> DocumentMap:
    """The workspace's passages and the first `most_questions` of `questions`.

    The nearest document is looked for among all passages, by all dimensions. What the dense index
    does not hold yet is missing; without any passage in it the map is empty.
    """
    on_progress(0.0, "reading the passages")
    collection, everything = chunks_collection(workspace_id, embedder), chunk_ids(db, workspace_id)
    known, passages = index.vectors(collection, _evenly(sorted(everything), most_passages))
    asked = list(questions[:most_questions])
    if not known:
        return DocumentMap((), (), len(everything), len(questions), 0.0)
    vectors = _embedded(embedder, asked, passages.shape[1], on_progress)
    on_progress(0.6, "looking for the nearest documents")
    near = [_nearest(index, collection, vector, everything) for vector in vectors]
    names = live_chunks(db, workspace_id, {*known, *(chunk_id for chunk_id, _ in near)})
    on_progress(0.9, "drawing")
    places, shown = plane(_unit(passages), vectors)
    # a passage removed since its id was read has no name any more, and is left out
    placed = [
        Placed(float(x), float(y), names[chunk_id].document)
        for chunk_id, (x, y) in zip(known, places[: len(known)], strict=True)
        if chunk_id in names
    ]
    found = [
        Question(float(x), float(y), text, names[chunk_id].document, similarity)
        for text, (chunk_id, similarity), (x, y) in zip(
            asked, near, places[len(known) :], strict=True
        )
        if chunk_id in names
    ]
    found.sort(key=lambda one: one.similarity)
    return DocumentMap(tuple(placed), tuple(found), len(everything), len(questions), shown)


def plane(passages: np.ndarray, questions: np.ndarray) -> tuple[np.ndarray, float]:
    """Places (passages + questions, 2) on the plane on which they differ most, and its share.

    Principal components (Pearson, Philosophical Magazine 1901) by the singular value decomposition
    (Jolliffe, Principal Component Analysis, 2002, chapter 3). Questions and passages weigh half
    each: where every point weighed alike, few questions among many passages fell into their middle.
    Of 15 questions and 98 passages the rank correlation of the distance on the plane to the nearest
    passage with that by all dimensions was 0.17 alike, and 0.86 by halves.
    """
    groups = [group for group in (passages, questions) if len(group)]
    weights = np.concatenate([np.full(len(one), 1 / len(groups) / len(one)) for one in groups])
    vectors = np.concatenate(groups)
    centred = vectors - weights @ vectors
    _, sizes, axes = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    axes, total = axes[:2], float((sizes**2).sum())
    # the decomposition leaves the signs open: the same vectors shall give the same picture
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    places = np.zeros((len(vectors), 2))
    places[:, : len(axes)] = centred @ axes.T
    return places, float((sizes[:2] ** 2).sum()) / total if total else 0.0


def _evenly(ids: Sequence[int], most: int) -> list[int]:
    """At most `most` of them, as far from one another as they can be."""
    if len(ids) <= most:
        return list(ids)
    return [ids[place * len(ids) // most] for place in range(most)]


def _embedded(
    embedder: "Embedder", texts: Sequence[str], dimension: int, on_progress: OnProgress
) -> np.ndarray:
    """Vectors of length 1 (texts, dimension)."""
    parts = [np.empty((0, dimension), np.float32)]
    for start in range(0, len(texts), _AT_ONCE):
        on_progress(0.2 + 0.4 * start / len(texts), f"reading {len(texts)} questions")
        parts.append(embedder.embed(list(texts[start : start + _AT_ONCE])))
    return np.concatenate(parts)


def _nearest(
    index: "DenseIndex", collection: str, vector: np.ndarray, alive: set[int]
) -> tuple[int, float]:
    """The nearest chunk that is still there, with its cosine similarity; (0, 0.0) for none."""
    hits = index.query(collection, vector, _NEAREST)
    return next((hit for hit in hits if hit[0] in alive), (0, 0.0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The same at length 1, as cosine similarity sees them."""
    made: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made
