"""What is found for a question: passages of the documents, and near corrections as examples."""

import re

from sqlite_utils import Database

from assistant.app import App
from storage.documents import list_documents
from storage.records import Example, Passage, Workspace
from tuning.augment import bare_words

EXAMPLES_AT_MOST = 3
NEAR = 8
"""Near corrections whose answers are weighed; among eight the right one is nearly always."""
NEAR_TOKENS = 2000
"""Tokens of those corrections at most; exact answers are short."""


def retrieve(app: App, db: Database, workspace: Workspace, question: str) -> tuple[Passage, ...]:
    """The passages that service shows for `question`: above the floor, within the budget."""
    settings = workspace.settings
    if not settings.passage_tokens or not list_documents(db, workspace.id):
        return ()
    from knowledge.search import fit_passages, search

    found = search(
        db,
        app.index,
        app.embedder,
        workspace.id,
        question,
        top_k=settings.top_k,
        floor=settings.relevance_floor,
    )
    return tuple(fit_passages(found, settings.passage_tokens, app.tokenizer.count))


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

    return tuple(
        nearest_examples(
            db,
            app.index,
            app.embedder,
            workspace.id,
            question,
            limit=limit,
            budget=budget,
            count_tokens=app.tokenizer.count,
            leave_out_groups=leave_out_groups,
            only_feedback_ids=only_feedback_ids,
        )
    )


def approved_near(
    app: App,
    db: Database,
    workspace: Workspace,
    question: str,
    *,
    only_feedback_ids: frozenset[int] | None = None,
) -> tuple[str, ...]:
    """The answers that were approved for the questions nearest to `question`, each once.

    A name or number that an answer has from its own question must stand in this one too: what was
    approved for orders of 2019 is no answer about 2020.
    """
    near = examples_for(
        app,
        db,
        workspace,
        question,
        only_feedback_ids=only_feedback_ids,
        limit=NEAR,
        budget=NEAR_TOKENS,
    )
    asked = set(bare_words(question))
    return tuple(
        dict.fromkeys(example.answer for example in reversed(near) if _named(example) <= asked)
    )


def _named(example: Example) -> set[str]:
    """Names and numbers that an answer has from its question: words with a digit or a capital.

    The first word has one anyway, and a plain word may be put otherwise: "completed" orders are
    'Closed' ones.
    """
    first, *others = re.findall(r"\w+", example.question) or [""]
    names = [word for word in others if word[0].isupper()]
    numbers = [word for word in (first, *others) if any(map(str.isdigit, word))]
    return {word.casefold() for word in (*names, *numbers)} & set(bare_words(example.answer))
