"""`apprentice feedback import`: a file of judgements, taken whole or not at all.

First every line is read and checked, then what a row lacks is looked up (passages, and with
`--ask` an answer), and only then one transaction writes it all. A row's key is the hash of what it
says, so importing a file twice adds nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, get_args

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.approving import approve_passing
from assistant.commands.ask import Asked, add_history, answers, instructions
from assistant.commands.rows import Turns, optional_text, read_rows, required_text, turns_of
from assistant.commands.site_exchange import WAITS
from assistant.commands.who import actor
from assistant.reply import ReplyOptions
from assistant.retrieval import retrieve
from assistant.verbs import Event
from storage import feedback
from storage.audit import audit
from storage.conversations import add_message, delete_conversation, start_conversation
from storage.database import write_transaction
from storage.errors import BadInput
from storage.records import Feedback, Inputs, Origin, Passage, Workspace
from storage.sites import OTHER, other_site
from storage.text import clean
from storage.workspaces import workspace as workspace_named

OWNER = "import"
FIELDS = (
    "question",
    "messages",
    "answer",
    "correction",
    "rating",
    "reasons",
    "comment",
    "contributor",
    "passages",
    "group",
    "from_site",
)
GIVEN = "passage"
"""The document's name of a passage that a row brought along."""


@dataclass(frozen=True)
class Sent:
    """Where a row of another installation's queue came from."""

    site: str
    id: str
    origin: str
    status: str


@dataclass(frozen=True)
class Judged:
    """One row as read, and later as completed."""

    turns: Turns
    key: str
    answer: str | None
    correction: str | None
    rating: int | None
    reasons: tuple[str, ...]
    comment: str
    contributor: str
    passages: tuple[str, ...] | None
    group: str
    inputs: Inputs | None = None
    message_id: str | None = None
    """The assistant's own reply, when it was asked for."""
    sent: Sent | None = None


def import_file(
    app: App,
    *,
    workspace: str,
    file: str,
    approve: bool = False,
    ask: bool = False,
    strict: bool = False,
    skip_bad: bool = False,
) -> Iterator[Event]:
    """Take the rows of `file` in; with `approve`, approve those with a correction or a thumb.

    One that fails its own check stays new and is named. BadInput names every bad line (unless
    `skip_bad`), and then nothing is taken.
    """
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        unknown: Counter[str] = Counter()
        rows, bad = read_rows(
            file, lambda row: _judged(row, unknown, strict=strict, ask=ask), skip_bad=skip_bad
        )
        yield from ({"warning": complaint} for complaint in bad)
        if unknown:
            yield {"warning": f"{file}: left out the unknown fields {_counted(unknown)}."}
        fresh = _fresh(db, found, [row for _, row in rows])
        complete: list[Judged] = []
        yield from _completed(app, db, found, fresh, complete, ask=ask, skip_bad=skip_bad)
        with write_transaction(db):
            for row in complete:
                _add(db, found, row)
            audit(
                db, actor(), "feedback imported", f"workspace:{found.id}", {"rows": len(complete)}
            )
        waiting = _to_approve(db, found, [row for _, row in rows]) if approve else []
        approved = yield from approve_passing(app, db, found, waiting)
    yield {
        "file": file,
        "rows": len(rows) + len(bad),
        "imported": len(complete),
        "already_there": len(rows) - len(fresh),
        "approved": len(approved),
        "skipped": len(bad) + len(fresh) - len(complete),
    }


# ---- reading


def _judged(row: dict[str, Any], unknown: Counter[str], *, strict: bool, ask: bool) -> Judged:
    strange = [name for name in row if name not in FIELDS]
    if strange and strict:
        raise BadInput(f"unknown fields {', '.join(strange)}; known are {', '.join(FIELDS)}.")
    unknown.update(strange)
    turns, sent = turns_of(row), _sent(row)
    judged = Judged(
        turns=turns,
        key=f"{sent.site}:{sent.id}" if sent else _key(row),
        answer=_answer(row, turns),
        correction=optional_text(row, "correction"),
        rating=_rating(row),
        reasons=tuple(_texts(row, "reasons") or ()),
        comment=optional_text(row, "comment") or "",
        contributor=_contributor(row, sent),
        passages=_texts(row, "passages"),
        group=optional_text(row, "group") or "",
        sent=sent,
    )
    _must_judge(judged, ask=ask)
    return judged


def _sent(row: dict[str, Any]) -> Sent | None:
    """What `feedback export --format queue` says of a row; None for a row of a file of one's own.

    Nobody else's row is approved or taken for the house's own by what a file says.
    """
    said = row.get("from_site")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise BadInput("its from_site is no object as `feedback export --format queue` writes it.")
    name, id, origin, status = (
        required_text(said, key) for key in ("name", "id", "origin", "status")
    )
    if origin not in get_args(Origin) or status not in WAITS:
        raise BadInput("its from_site has an origin or a status that a queue does not have.")
    return Sent(other_site(name), id[:200], origin, status)


def _contributor(row: dict[str, Any], sent: Sent | None) -> str:
    """Of another installation its name goes before: its users are not those with our numbers."""
    given = optional_text(row, "contributor") or OWNER
    return f"{sent.site.removeprefix(OTHER)}/{given}" if sent else given


def _must_judge(row: Judged, *, ask: bool) -> None:
    correction = (row.correction or "").strip()
    if row.rating is None and not (row.reasons or row.comment.strip() or correction):
        raise BadInput("it judges nothing: give a correction, rating, reasons or comment.")
    if row.answer is None and not correction and not ask:
        raise BadInput("it judges an answer that it does not give: add the answer, or use --ask.")


def _answer(row: dict[str, Any], turns: Turns) -> str | None:
    given = optional_text(row, "answer")
    if given is not None and turns.answer is not None:
        raise BadInput("it has an answer and messages that end with one; give one of them.")
    return (given if given is not None else turns.answer or "").strip() or None


def _rating(row: dict[str, Any]) -> int | None:
    rating = row.get("rating")
    if rating is not None and (isinstance(rating, bool) or rating not in (1, -1)):
        raise BadInput(f"its rating is {json.dumps(rating)[:40]}, neither 1 nor -1.")
    return None if rating is None else int(rating)


def _texts(row: dict[str, Any], name: str) -> tuple[str, ...] | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInput(f"its {name} are {json.dumps(value)[:40]}, not a list of texts.")
    return tuple(clean(item) for item in value)


def _key(row: dict[str, Any]) -> str:
    said = {name: row[name] for name in FIELDS if row.get(name) is not None}
    return "import:" + hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _counted(unknown: Counter[str]) -> str:
    return ", ".join(f"{name!r} ({count} rows)" for name, count in unknown.most_common())


# ---- completing


def _fresh(db: Database, found: Workspace, rows: Sequence[Judged]) -> list[Judged]:
    """The rows that are not in the workspace yet, each once."""
    unique = {row.key: row for row in rows}
    return [
        row for row in unique.values() if feedback.feedback_by_key(db, found.id, row.key) is None
    ]


def _completed(
    app: App,
    db: Database,
    found: Workspace,
    rows: Sequence[Judged],
    complete: list[Judged],
    *,
    ask: bool,
    skip_bad: bool,
) -> Iterator[Event]:
    """Fill `complete` with rows that have inputs or a real reply; yields progress, warnings."""
    to_ask = [row for row in rows if ask and row.answer is None]
    answered = [row for row in rows if not ask or row.answer is not None]
    for number, row in enumerate(answered):
        complete.append(replace(row, inputs=_inputs(app, db, found, row)))
        yield {"progress": number / len(rows), "note": f"row {number + 1} of {len(rows)}"}
    yield from _asked(app, db, found, to_ask, complete, skip_bad=skip_bad)


def _asked(
    app: App,
    db: Database,
    found: Workspace,
    rows: Sequence[Judged],
    complete: list[Judged],
    *,
    skip_bad: bool,
) -> Iterator[Event]:
    """Ask the assistant itself; its reply, with what it really saw, becomes what was judged."""
    waiting, made = list(rows), []
    questions = [Asked(row.turns) for row in rows]
    options = ReplyOptions(use_overrides=False)
    try:
        for event in answers(app, found, questions, options, owner=OWNER):
            if "progress" in event:
                yield event
                continue
            row = waiting.pop(0)
            if "error" not in event:
                made.append(event["conversation"])
                complete.append(replace(row, message_id=event["message"]))
            elif skip_bad:
                yield {"warning": f"{row.turns.question[:60]!r}: {event['error']}"}
            else:
                raise BadInput(f"{row.turns.question[:60]!r}: {event['error']}")
    except BaseException:  # also when the caller leaves: what was only begun is taken back
        for conversation_id in made:
            delete_conversation(db, conversation_id)
        raise


def _inputs(app: App, db: Database, found: Workspace, row: Judged) -> Inputs:
    return Inputs(
        question=row.turns.question,
        instructions=instructions(found, row.turns.system),
        instructions_version=found.instructions_version,
        history=row.turns.history,
        passages=_given(row.passages)
        if row.passages is not None
        else retrieve(app, db, found, row.turns.question),
    )


def _given(texts: Sequence[str]) -> tuple[Passage, ...]:
    """Passages that no document of ours holds: ids 0, the hash from the text alone."""
    return tuple(
        Passage(0, 0, GIVEN, text, hashlib.sha256(text.encode()).hexdigest(), 0.0) for text in texts
    )


# ---- writing


def _add(db: Database, found: Workspace, row: Judged) -> None:
    feedback.add_feedback(
        db,
        message_id=row.message_id or _add_reply(db, found, row),
        origin=row.sent.origin if row.sent else "import",
        quarantine=row.sent is not None and row.sent.status == "quarantined",
        site=row.sent.site if row.sent else "",
        contributor=row.contributor,
        rating=row.rating,
        reasons=row.reasons,
        comment=row.comment,
        correction=row.correction,
        group=row.group,
        idempotency_key=row.key,
    )


def _add_reply(db: Database, found: Workspace, row: Judged) -> str:
    """The imported conversation. `engine` says where the passages in its inputs are from."""
    conversation_id = start_conversation(db, found.id, OWNER).id
    before = add_history(db, conversation_id, row.turns)
    question = add_message(db, conversation_id, "user", row.turns.question, parent_id=before)
    return add_message(
        db,
        conversation_id,
        "assistant",
        row.answer or "",
        parent_id=question.id,
        inputs=row.inputs,
        finish_reason="imported",
        engine="import" if row.passages is not None else "import, passages retrieved then",
    ).id


def _to_approve(db: Database, found: Workspace, rows: Sequence[Judged]) -> list[Feedback]:
    """The new feedback with a correction or a thumb, that of an earlier import too.

    A thumb on a reply that teaches nothing waits for a person.
    """
    keys = dict.fromkeys(row.key for row in rows)
    items = [feedback.feedback_by_key(db, found.id, key) for key in keys]
    return [
        item
        for item in items
        if item and item.status == "new" and (item.correction or (item.rating and item.answer))
    ]
