"""What is found for a question: passages of the documents, and near corrections as examples."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from assistant.app import App
from knowledge.chroma_place import IndexAway
from storage.documents import newest_chunk
from storage.records import Example, Passage, Workspace
from tuning.augment import bare_words

CANDIDATES = 30
"""Passages that are looked at; the first of those above the floor are shown."""
NEAREST = 3
RERANKED = 20
"""Passages that a reranker weighs again, where there is one."""
REBUILDING = "The search index is being made anew; until then documents are found by words."
"""Said under a reply that was made meanwhile."""
AWAY = (
    "The search index does not answer; until it does, documents are found by words, "
    "and corrections serve for their own questions alone."
)
"""The same where it is on a server."""
EXAMPLES_AT_MOST = 3
NEAR = 8
"""Near corrections whose answers are weighed; among eight the right one is nearly always."""
NEAR_TOKENS = 2000
"""Tokens of those corrections at most; exact answers are short."""


@dataclass(frozen=True)
class Found:
    """What the documents have on a question: passages to show, and the nearest whatever they are.

    `relevance` is that of the best one, 0 for none; None: there was nothing to search.
    """

    passages: tuple[Passage, ...] = ()
    nearest: tuple[Passage, ...] = ()
    relevance: float | None = None
    by_words_alone: bool = False
    """The index was being made anew, so some passages were found by their words or not at all."""


def retrieve(app: App, db: Database, workspace: Workspace, question: str) -> tuple[Passage, ...]:
    """The passages that service shows for `question`: above the floor, within the budget."""
    return look_up(app, db, workspace, question).passages


def look_up(app: App, db: Database, workspace: Workspace, question: str) -> Found:
    """What service shows for `question`, and what it is judged by."""
    settings = workspace.settings
    if not settings.passage_tokens or not newest_chunk(db, workspace.id):
        return Found()
    from knowledge.search import chunks_collection, search
    from knowledge.showing import distinct, fit_passages, with_neighbours

    filling = app.index.is_filling(chunks_collection(workspace.id, app.embedder))
    hits = search(
        *(db, app.index, app.lexical, app.embedder, workspace.id, question), top_k=CANDIDATES
    )
    relevant = [hit for hit in hits if (hit.relevance or 0.0) >= settings.relevance_floor]
    if app.reranker:
        relevant = app.reranker.rerank(question, relevant[:RERANKED])
    room, count = settings.passage_tokens, app.tokenizer.count
    shown = fit_passages(distinct(relevant)[: settings.top_k], room, count)
    shown = with_neighbours(db, shown, room, count)
    best = max((hit.relevance or 0.0 for hit in hits), default=0.0)
    return Found(tuple(shown), tuple(hits[:NEAREST]), best, filling or _unindexed(hits))


def why_by_words(app: App) -> str:
    """What is said where documents were found by their words alone."""
    return AWAY if app.index.away else REBUILDING


def _unindexed(hits: Sequence[Passage]) -> bool:
    """Whether the index knew none of what was found, or not all: it was lost a moment ago."""
    known = any(hit.dense_rank is not None for hit in hits)
    return not known or any(hit.similarity is None for hit in hits)


def examples_for(
    app: App,
    db: Database,
    workspace: Workspace,
    question: str,
    *,
    leave_out_groups: frozenset[str] = frozenset(),
    only_feedback_ids: frozenset[int] | None = None,
    limit: int = EXAMPLES_AT_MOST,
    budget: int | None = None,
) -> tuple[Example, ...]:
    """The near corrections that service shows for `question`, or those of another budget."""
    budget = workspace.settings.example_tokens if budget is None else budget
    if not budget:
        return ()
    from knowledge.corrections import nearest_examples

    near = nearest_examples(
        *(db, app.index, app.embedder, workspace.id, question),
        limit=limit,
        budget=budget,
        count_tokens=app.tokenizer.count,
        leave_out_groups=leave_out_groups,
        only_feedback_ids=only_feedback_ids,
    )
    return tuple(one for one, _ in near)


def examples_now(
    app: App, db: Database, workspace: Workspace, question: str, wanted: bool = True
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """`examples_for` a reply, which is given without them while the index does not answer; and
    what is said of that."""
    try:
        return (examples_for(app, db, workspace, question) if wanted else ()), ()
    except IndexAway:
        return (), (AWAY,)


def approved_near(
    app: App,
    db: Database,
    workspace: Workspace,
    question: str,
    *,
    only_feedback_ids: frozenset[int] | None = None,
) -> tuple[tuple[str, float], ...]:
    """The answers that were approved for the questions nearest to `question`, each once.

    Each comes with the cosine similarity of the two questions, the nearest first. A name or number
    that an answer has from its own question must stand in this one too: what was approved for
    orders of 2019 is no answer about 2020.
    """
    from knowledge.corrections import nearest_examples

    near = nearest_examples(
        *(db, app.index, app.embedder, workspace.id, question),
        limit=NEAR,
        budget=NEAR_TOKENS,
        count_tokens=app.tokenizer.count,
        only_feedback_ids=only_feedback_ids,
    )
    asked = set(bare_words(question))
    answers = {one.answer: similarity for one, similarity in near if _named(one) <= asked}
    return tuple(sorted(answers.items(), key=lambda one: -one[1]))


def _named(example: Example) -> set[str]:
    """Names and numbers that an answer has from its question: words with a digit or a capital.

    The first word has one anyway, and a plain word may be put otherwise: "completed" orders are
    'Closed' ones.
    """
    first, *others = re.findall(r"\w+", example.question) or [""]
    names = [word for word in others if word[0].isupper()]
    numbers = [word for word in (first, *others) if any(map(str.isdigit, word))]
    return {word.casefold() for word in (*names, *numbers)} & set(bare_words(example.answer))
