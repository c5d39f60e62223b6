"""Passages for a question: dense and lexical hits, fused by score, each checked against SQLite."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlite_utils import Database

from knowledge.chroma_place import IndexAway
from knowledge.lexical import stems
from storage.documents import live_chunks
from storage.records import Passage

if TYPE_CHECKING:  # their libraries take seconds to import
    import numpy as np

    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder
    from knowledge.lexical import LexicalIndex

DENSE_SHARE = 0.6
"""What the cosine similarity counts, each score taken as a part of the best one; BM25 the rest.

Such a sum finds more than fusion by rank: Bruch, Gai, Ingber, TOIS 2023. Of Cranfield's queries of
even id, nDCG@10 was 0.545 with 0.6 and 0.537 with 0.5 and 0.7; by rank it was 0.519.
"""

_CANDIDATES = 30  # of each kind: some may be gone from SQLite
_WEIGHED = 200  # lexical hits whose score is known to a dense one; with 30 nDCG@10 is 0.018 lower


def chunks_collection(workspace_id: int, embedder: "Embedder") -> str:
    """The name of the collection that holds the vectors of a workspace's chunks."""
    return f"chunks-{workspace_id}-{embedder.slug}"


def search(
    db: Database,
    index: "DenseIndex",
    lexical: "LexicalIndex",
    embedder: "Embedder",
    workspace_id: int,
    query: str,
    *,
    top_k: int = 3,
) -> list[Passage]:
    """At most `top_k` passages of the workspace, best first.

    The relevance of each is the mean of its cosine similarity to `query` and of the share of the
    query's words, rare ones counting more, that it has. A chunk that the dense index does not know
    yet, as while it is being rebuilt or does not answer, has no similarity; there the words alone
    count.
    """
    if top_k < 1 or not query.strip():
        return []
    most = max(_CANDIDATES, top_k)
    collection, vector = chunks_collection(workspace_id, embedder), embedder.embed([query])[0]
    weighed = lexical.query(db, workspace_id, query, max(_WEIGHED, most))
    by_words = [chunk_id for chunk_id, _ in weighed[:most]]
    dense, similarity = _similar(index, collection, vector, most, by_words)
    live = live_chunks(db, workspace_id, {*similarity, *by_words})
    dense_rank, lexical_rank = (_ranks(hits, live) for hits in (dense, weighed))
    score, rarity = _fused(similarity, dict(weighed)), lexical.rarity(db, workspace_id, query)
    passages = [
        replace(
            passage,
            score=score[chunk_id],
            similarity=similarity.get(chunk_id),
            relevance=relevance(similarity.get(chunk_id), rarity, passage.text),
            dense_rank=dense_rank.get(chunk_id),
            lexical_rank=lexical_rank.get(chunk_id),
        )
        for chunk_id, passage in live.items()
    ]
    return sorted(passages, key=_best_first)[:top_k]


def _similar(
    index: "DenseIndex", collection: str, vector: "np.ndarray", most: int, others: Sequence[int]
) -> tuple[list[tuple[int, float]], dict[int, float]]:
    """The nearest chunks, and the similarity by id of these and of `others`."""
    try:
        dense = index.query(collection, vector, most)
        unknown = {*others} - {chunk_id for chunk_id, _ in dense}
        return dense, {**dict(dense), **index.similarities(collection, vector, [*unknown])}
    except IndexAway:
        return [], {}


def _ranks(hits: Sequence[tuple[int, float]], live: dict[int, Passage]) -> dict[int, int]:
    """Rank from 1 by chunk id, among those that are still there."""
    alive = [chunk_id for chunk_id, _ in hits if chunk_id in live]
    return {chunk_id: rank for rank, chunk_id in enumerate(alive, start=1)}


def _fused(similarity: Mapping[int, float], bm25: Mapping[int, float]) -> dict[int, float]:
    """The score by chunk id, from 0 to 1; what one of the two searches does not know counts 0."""
    shares = (similarity, DENSE_SHARE), (bm25, 1 - DENSE_SHARE)
    score = dict.fromkeys([*similarity, *bm25], 0.0)
    for scores, share in shares:
        best = max(scores.values(), default=0.0)
        for chunk_id, one in scores.items():
            score[chunk_id] += share * max(0.0, one) / best if best > 0 else 0.0
    return score


def relevance(similarity: float | None, rarity: Mapping[str, float], text: str) -> float:
    """How likely a text is about a question: see `search`; `rarity` is of the question's words."""
    shares = [] if similarity is None else [similarity]
    if rarity:
        own = stems(text)
        shared = sum(weight for stem, weight in rarity.items() if stem in own)
        shares.append(shared / sum(rarity.values()))
    return sum(shares) / max(1, len(shares))


def _best_first(passage: Passage) -> tuple[float, float, int]:
    return -passage.score, -(passage.similarity or 0.0), passage.chunk_id
