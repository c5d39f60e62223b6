"""The nearest approved corrections: few-shot examples for a question."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from sqlite_utils import Database

from storage.documents import chunk_hash
from storage.pairs import each_pair, pair_ids, pair_questions
from storage.records import Example, Pair

if TYPE_CHECKING:  # their libraries take seconds to import
    import numpy as np

    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder

WIDER = 8
"""Times as many near corrections are looked at as are wanted; all of them only if those are too
long."""


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
    questions = pair_questions(db, workspace_id)
    sync_corrections(index, embedder, workspace_id, questions)
    left_out = pair_ids(db, workspace_id, leave_out_groups) if leave_out_groups else frozenset()
    allowed = [
        feedback_id
        for feedback_id in questions
        if feedback_id not in left_out
        and (only_feedback_ids is None or feedback_id in only_feedback_ids)
    ]
    collection = corrections_collection(workspace_id, embedder)
    vector = embedder.embed([question])[0]
    among = allowed if len(allowed) < len(questions) else None
    for k in sorted({min(WIDER * limit, len(allowed)), len(allowed)}):
        near = index.query(collection, vector, k, among=among)
        nearest = each_pair(db, workspace_id, (feedback_id for feedback_id, _ in near))
        found = _fitting(nearest, limit, budget, count_tokens)
        if len(found) == limit:
            break
    similarity = dict(near)
    return [(one, similarity[one.feedback_id]) for one in reversed(found)]


def sync_corrections(
    index: "DenseIndex", embedder: "Embedder", workspace_id: int, questions: Mapping[int, str]
) -> int:
    """Make the collection equal to `questions` (by feedback id); returns how many were embedded."""
    collection = corrections_collection(workspace_id, embedder)
    wanted = {number: chunk_hash("", question) for number, question in questions.items()}
    indexed = index.hashes(collection)
    index.delete(collection, [number for number in indexed if number not in wanted])
    new = [number for number, digest in wanted.items() if indexed.get(number) != digest]
    if new:
        vectors = embedder.embed([questions[number] for number in new])
        add_questions(index, embedder, workspace_id, {id: questions[id] for id in new}, vectors)
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
