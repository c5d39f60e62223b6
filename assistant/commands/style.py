"""`apprentice style import`: one's own writing as lessons in style.

A text that answers nothing known gets an instruction drafted by the base model; a person reviews it
like any correction before it trains. Lessons go into small groups, so that the split keeps a fifth
of the texts back; on those the round measures how like the author's its answers are.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.approving import approve_passing
from assistant.commands.who import actor
from assistant.commands.writing import Writing, by_source, read_writing
from assistant.replay import plain_inputs
from assistant.verbs import Event
from storage import feedback
from storage.audit import audit
from storage.conversations import add_message, start_conversation
from storage.database import write_transaction
from storage.records import ChatMessage, Feedback, Workspace
from storage.workspaces import workspace as workspace_named
from tuning.style import STYLE_GROUP

OWNER = "import"
A_GROUP = 5
"""Texts of a group, of which the split holds one out."""
DRAFT_TOKENS = 32
DRAFT = "Write the request that the text answers, in one sentence."
DRAFTED = (
    (
        "Dear Ms Lind, thank you for your order. The lamp leaves our house on Monday and should "
        "be with you on Wednesday.",
        "Write a mail to Ms Lind that tells when the lamp she ordered arrives.",
    ),
    (
        "The ferry was late, the soup was cold, and still we would go again tomorrow. Nobody "
        "hurries on the island, and after an hour nor did we.",
        "Write a few sentences about a trip to an island.",
    ),
    (
        "We cannot lower the price further. What we can do is deliver in two parts and send the "
        "second invoice in March.",
        "Tell a customer that the price stands, and offer delivery in two parts.",
    ),
)
"""A small model drafts a request only when it is shown how."""


def import_writing(
    app: App, *, workspace: str, path: str, author: str | None = None, approve: bool = False
) -> Iterator[Event]:
    """Take the texts in; with `approve` those whose request was given train without a review.

    Texts that are there already are passed over, and one that fails the workspace's own check waits
    for a person. BadInput for what holds no text.
    """
    yield from take_writing(
        app, workspace, read_writing([Path(path)], author), approve=approve, by=actor()
    )


def take_writing(
    app: App, workspace: str, found: Sequence[Writing], *, approve: bool, by: str
) -> Iterator[Event]:
    """As `import_writing`, of texts that were read already; `by` is named in the audit."""
    with closing(app.db()) as db:
        house = workspace_named(db, workspace)
        fresh = [one for one in found if feedback.feedback_by_key(db, house.id, _key(one)) is None]
        drafted = [one for one in fresh if one.instruction is None]
        known = [one for one in fresh if one.instruction is not None]
        complete = list(known)
        for number, one in enumerate(_drafts(app, drafted), start=1):
            complete.append(one)
            note = f"drafting requests: {number} of {len(drafted)}"
            yield {"progress": number / len(drafted), "note": note}
        groups = max(1, len(found) // A_GROUP)
        with write_transaction(db):
            added = [_add(db, house, one, groups) for one in complete]
            audit(db, by, "style imported", f"workspace:{house.id}", {"texts": len(complete)})
        waiting = added[: len(known)] if approve else []
        approved = yield from approve_passing(app, db, house, waiting, reviewer=by)
    yield {
        "texts": len(found),
        "from": by_source(found),
        "imported": len(complete),
        "already_there": len(found) - len(fresh),
        "drafted": len(drafted),
        "approved": len(approved),
        "to_review": len(complete) - len(approved),
    }


def _drafts(app: App, texts: Sequence[Writing]) -> Iterator[Writing]:
    """Each text with the request that the base model thinks it answers, as they are made."""
    if not texts:
        return
    with ThreadPoolExecutor(4, thread_name_prefix="draft") as pool:
        try:
            requests = pool.map(lambda one: _draft(app, one.text), texts)
            for one, request in zip(texts, requests, strict=True):
                yield replace(one, instruction=request)
        finally:  # who leaves does not wait for the rest
            pool.shutdown(cancel_futures=True)


def _draft(app: App, text: str) -> str:
    from assistant.engines.protocol import Sampling

    sampling, said = Sampling(max_tokens=DRAFT_TOKENS), ""
    for shown in range(len(DRAFTED), -1, -1):  # fewer where the context is short
        ids = app.tokenizer.render(_please_draft(text, DRAFTED[:shown]))
        if len(ids) + DRAFT_TOKENS <= app.engine.context_length:
            pieces = app.engine.stream(ids, None, sampling, ("\n",), threading.Event())
            said = " ".join("".join(piece.text for piece in pieces).split())
            break
    return said or f"Write a text that begins: {' '.join(text.split()[:5])}"


def _please_draft(text: str, drafted: Sequence[tuple[str, str]]) -> list[ChatMessage]:
    messages: list[ChatMessage] = [{"role": "system", "content": DRAFT}]
    for shown, request in drafted:
        messages.append({"role": "user", "content": shown})
        messages.append({"role": "assistant", "content": request})
    return [*messages, {"role": "user", "content": text}]


def _add(db: Database, house: Workspace, one: Writing, groups: int) -> Feedback:
    assert one.instruction is not None
    inputs = plain_inputs(house, one.instruction)
    conversation = start_conversation(db, house.id, OWNER)
    asked = add_message(db, conversation.id, "user", one.instruction)
    reply = add_message(
        db,
        conversation.id,
        "assistant",
        "",
        parent_id=asked.id,
        inputs=inputs,
        finish_reason="imported",
        engine="import",
    )
    group = int(_key(one).rpartition(":")[2], 16) % groups
    return feedback.add_feedback(
        db,
        message_id=reply.id,
        origin="import",
        contributor=OWNER,
        correction=one.text,
        comment=f"style lesson from {one.source}",
        group=f"{STYLE_GROUP}{group}",
        idempotency_key=_key(one),
    )


def _key(one: Writing) -> str:
    return f"style:{hashlib.sha256(one.text.encode()).hexdigest()}"
