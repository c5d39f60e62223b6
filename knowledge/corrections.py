"""The nearest approved corrections: few-shot examples for a question."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from sqlite_utils import Database

from storage.documents import chunk_hash
from storage.pairs import changed_pairs, each_pair, newest_change, pair_ids, pair_questions
from storage.records import Example, Pair

if TYPE_CHECKING:  # their libraries take seconds to import
    import numpy as np

    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder

WIDER, FURTHEST = 8, 256
"""Times as many near corrections are looked at as are wanted; how many if those are too long."""

NAMED = 5000
"""Ids at most that the index is told to look among; of more, the nearest of all are sifted."""


def corrections_collection(workspace_id: int, embedder: "Embedder") -> str:
    """The name of the collection that holds the vectors of a workspace's corrected questions."""
    return f"corrections-{workspace_id}-{embedder.slug}"


def nearest_examples(
    db: Database,
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    question: str,
    *,
    limit: int,
    budget: int,
    count_tokens: Callable[[str], int],
    leave_out_groups: Collection[str] = frozenset(),
    only_feedback_ids: Collection[int] | None = None,
) -> list[tuple[Example, float]]:
    """At most `limit` approved corrections that fit into `budget` tokens, the nearest last.

    Last, because what stands next to the question weighs most. Each comes with the cosine
    similarity of its question; one too long for what is left of the budget is passed over. The
    pair asked for itself is left out by `leave_out_groups` or `only_feedback_ids`.
    """
    if limit < 1 or budget < 1 or not question.strip():
        return []
    sync_corrections(db, index, embedder, workspace_id)
    allowed = None
    if leave_out_groups or only_feedback_ids is not None:
        allowed = _allowed(db, workspace_id, leave_out_groups, only_feedback_ids)
    named = sorted(allowed) if allowed is not None and len(allowed) <= NAMED else None
    collection = corrections_collection(workspace_id, embedder)
    vector = embedder.embed([question])[0]
    for k in (WIDER * limit, FURTHEST):
        near = index.query(collection, vector, k, among=named)
        ids = [one for one, _ in near if allowed is None or one in allowed]
        found = _fitting(each_pair(db, workspace_id, ids), limit, budget, count_tokens)
        if len(found) == limit or len(near) < k:
            break
    similarity = dict(near)
    return [(one, similarity[one.feedback_id]) for one in reversed(found)]


def _allowed(
    db: Database, workspace_id: int, without: Collection[str], only: Collection[int] | None
) -> frozenset[int]:
    left_out = pair_ids(db, workspace_id, without) if without else frozenset()
    known = pair_ids(db, workspace_id) if only is None else frozenset(only)
    return known - left_out


def sync_corrections(
    db: Database, index: "DenseIndex", embedder: "Embedder", workspace_id: int
) -> int:
    """Make the collection equal to the pairs; returns how many questions were embedded.

    All are compared when the index has been opened, later only those that changed since.
    """
    collection = corrections_collection(workspace_id, embedder)
    reached, newest = index.reached, newest_change(db, workspace_id)
    last = reached.get(collection)
    if last == newest:
        return 0
    changed = None if last is None else changed_pairs(db, workspace_id, last)
    questions = pair_questions(db, workspace_id, changed)
    indexed = index.hashes(collection, among=changed)
    index.delete(collection, [number for number in indexed if number not in questions])
    new = {
        number: question
        for number, question in questions.items()
        if indexed.get(number) != chunk_hash("", question)
    }
    if new:
        add_questions(index, embedder, workspace_id, new, embedder.embed([*new.values()]))
    reached[collection] = newest
    return len(new)


def add_questions(
    index: "DenseIndex",
    embedder: "Embedder",
    workspace_id: int,
    questions: Mapping[int, str],
    vectors: "np.ndarray",
) -> None:
    """Put questions (by feedback id) with their vectors into the collection."""
    collection = corrections_collection(workspace_id, embedder)
    hashes = [chunk_hash("", question) for question in questions.values()]
    index.upsert(collection, list(questions), vectors, hashes)


def near_questions(
    index: "DenseIndex", embedder: "Embedder", workspace_id: int, vector: "np.ndarray", k: int
) -> dict[int, float]:
    """Cosine similarity by feedback id of the `k` corrected questions nearest to a vector."""
    return dict(index.query(corrections_collection(workspace_id, embedder), vector, k))


def _fitting(
    nearest: Iterable[Pair], limit: int, budget: int, count_tokens: Callable[[str], int]
) -> list[Example]:
    fitting: list[Example] = []
    for pair in nearest:
        size = count_tokens(pair.inputs.question) + count_tokens(pair.chosen)
        if size > budget:
            continue
        budget -= size
        fitting.append(Example(pair.feedback_id, pair.inputs.question, pair.chosen))
        if len(fitting) == limit:
            break
    return fitting
