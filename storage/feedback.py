"""Feedback and its review: a judgement on one reply, and what becomes of it.

Nothing is taught before a person approves it. What the contributor wrote is kept beside what the
reviewer made of it. Approved feedback is a pair for training and at once an override.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, get_args

from sqlite_utils import Database

from storage.attachments import refuse_made_with_files
from storage.audit import audit
from storage.database import NEXT, insert, one, rows, write, write_transaction
from storage.duplicates import leave_duplicates, put_duplicate
from storage.errors import BadInput, NotFound, Refused
from storage.feedback_seals import seal
from storage.first_yes import forget, settles
from storage.given_feedback import check_given, sent_before
from storage.judged_reply import judged_reply, keep_passages, reply_history_key
from storage.overrides import normalise, put_override, withdraw
from storage.queue_filter import COUNTED, Sought
from storage.records import Feedback, FeedbackStatus
from storage.seen import refuse_changed
from storage.sites import site_of
from storage.stale import accept_passages
from storage.text import clean, to_json

TEACHABLE = ("stop", "length", "imported")
"""Finish reasons of replies that a thumb alone can teach."""

GROUP_LENGTH = 200
"""Characters of a group's name at most; a group made from a question is cut there."""

SELECT_FEEDBACK = """
select f.id, f.workspace_id, f.message_id, f.origin, f.contributor, f.status, f.created_at,
    f.question, m.content as answer, f.rating, f.reasons, f.comment, f.correction,
    nullif(f.approved_correction, '') as approved_correction, f."group", f.reviewer, f.reviewed_at,
    (select same_as from duplicates d where d.feedback_id = f.id) as same_as, f.review_reasons,
    y.reviewer as first_reviewer, y.text as first_text, y.said_at as first_at, f.site
from feedback f
join messages m on m.id = f.message_id
left join first_yeses y on y.feedback_id = f.id
"""


def add_feedback(
    db: Database,
    *,
    message_id: str,
    origin: str,
    contributor: str,
    rating: int | None = None,
    reasons: Sequence[str] = (),
    comment: str = "",
    correction: str | None = None,
    group: str = "",
    idempotency_key: str | None = None,
    quarantine: bool = False,
    site: str | None = None,
) -> Feedback:
    """Save one judgement on a reply, as `new`, or `quarantined` when it comes from the public.

    `site` is where it came from (None: as the contributor's key says).

    The same `idempotency_key` with the same content from the same contributor gives the first row
    again; with anything else it is Refused. NotFound for an unknown message, BadInput for one that
    is not the assistant's and for feedback that says nothing.
    """
    check_given(origin, rating, reasons, comment, correction)
    with write_transaction(db):
        reply = judged_reply(db, message_id)
        own = {"message_id": reply["id"], "contributor": clean(contributor), "rating": rating}
        texts = {"comment": clean(comment), "correction": _text(correction)}
        said = {**own, **texts, "reasons": to_json(list(reasons))}
        earlier = sent_before(db, reply["workspace_id"], said, idempotency_key)
        if earlier is not None:
            return feedback(db, earlier)
        question_key, before = normalise(reply["question"]), reply_history_key(reply)
        feedback_id = insert(
            db,
            "feedback",
            **said,
            workspace_id=reply["workspace_id"],
            origin=origin,
            status="quarantined" if quarantine else "new",
            group=_group(group) or default_group(reply["question"]),
            question=reply["question"],
            question_key=question_key,
            history_key=before,
            duplicate_key=duplicate_key(question_key, before, correction),
            idempotency_key=clean(idempotency_key) if idempotency_key else None,
            site=site_of(contributor) if site is None else clean(site),
        )
        keep_passages(db, feedback_id, reply)
        seal(db, feedback_id)
    return feedback(db, feedback_id)


def feedback(db: Database, feedback_id: int) -> Feedback:
    """The feedback with this id; NotFound otherwise."""
    row = one(db, f"{SELECT_FEEDBACK} where f.id = ?", feedback_id)
    if row is None:
        raise NotFound(
            f"There is no feedback {feedback_id}: `apprentice feedback list` shows what there is."
        )
    return feedback_from_row(row)


def feedback_by_key(db: Database, workspace_id: int, idempotency_key: str) -> Feedback | None:
    """The workspace's feedback that was sent with this key, if any."""
    where = "f.workspace_id = ? and f.idempotency_key = ?"
    row = one(db, f"{SELECT_FEEDBACK} where {where}", workspace_id, clean(idempotency_key))
    return feedback_from_row(row) if row else None


def list_feedback(
    db: Database,
    workspace_id: int,
    *,
    limit: int = 50,
    before_id: int | None = None,
    **sought: Any,
) -> list[Feedback]:
    """The newest first, before the id `before_id` (at constant cost); `sought` as in `Sought`."""
    parts, values = Sought(**sought).conditions()
    if before_id is not None:
        parts, values = [*parts, "f.id < ?"], [*values, before_id]
    found = rows(
        db,
        f"""{SELECT_FEEDBACK} where {" and ".join(["f.workspace_id = ?", *parts])}
        order by f.id desc limit ?""",
        *(workspace_id, *values, limit),
    )
    return [feedback_from_row(row) for row in found]


def count_feedback(db: Database, workspace_id: int) -> dict[str, int]:
    """How many there are of each status, COUNTED at most; 0 is named too."""
    sql = """select count(*) as count from (
        select 1 from feedback where workspace_id = ? and status = ? limit ?)"""
    return {
        status: rows(db, sql, workspace_id, status, COUNTED)[0]["count"]
        for status in get_args(FeedbackStatus)
    }


def duplicates_of(db: Database, feedback_id: int) -> list[Feedback]:
    """Other feedback that says the same: same question, history and correction, normalised."""
    found = rows(
        db,
        f"""{SELECT_FEEDBACK} join feedback same on same.id = ?
        where f.workspace_id = same.workspace_id and f.duplicate_key = same.duplicate_key
        and f.id != same.id order by f.id""",
        feedback(db, feedback_id).id,
    )
    return [feedback_from_row(row) for row in found]


def approve(
    db: Database,
    feedback_id: int,
    *,
    reviewer: str,
    correction: str | None = None,
    group: str | None = None,
    fault: str | None = None,
    despite_check: str | None = None,
    same_as: int | None = None,
    seen: str | None = None,
) -> Feedback:
    """Say yes: it becomes a pair for the next round, and an override at once.

    Where the workspace wants two reviewers, the first yes only waits (see `storage.first_yes`), and
    what was approved in another text is served no more until there is a second yes to the new one.

    `correction` is the reviewer's wording (None: what a first yes was said to, else the
    contributor's own), `group` the need that it belongs to (None: as it is). An active override
    that says otherwise for the same question and history is retired. Approving again changes the
    wording. A bare thumb is approved as it stands and answers nothing; `storage.pairs` gives it
    out. BadInput with neither a correction nor a thumb, or when the reply has no stored inputs to
    learn from. `fault` says why the text fails its own check: then it is Refused, unless
    `despite_check` gives a reason, for the audit. `same_as` is the pair that it says the same as
    and that trains in its place. Approving again also says that it is right with its passages as
    they read today (see `storage.stale`). `seen` is the mark of the row as the reviewer saw it:
    Changed where somebody else decided since.
    """
    with write_transaction(db):
        known = feedback(db, feedback_id)
        refuse_changed(db, known, seen)
        chosen = wanted(known, correction)
        refuse_made_with_files(db, known.message_id)
        reply = judged_reply(db, known.message_id)
        if not reply["inputs"]:
            raise BadInput(
                f"The reply of feedback {feedback_id} was stored without what it was made from: "
                "ask the question again and correct the new reply."
            )
        if chosen is None:
            _check_thumb(known, reply)
        reason = None if chosen is None else _reason(known, fault, despite_check)
        if not settles(db, known, reviewer=reviewer, text=chosen or ""):
            _wait(db, known, reviewer, chosen or "", group, reason)
        elif chosen is None:
            _review(db, known, "approved", reviewer, "", group)
            withdraw(db, known.id)
        else:
            _teach(db, known, same_as, reviewer, chosen, group, reason)
            keys = (normalise(reply["question"]), reply_history_key(reply))
            _answer(db, known, keys, chosen)
    return feedback(db, feedback_id)


def _teach(
    db: Database,
    known: Feedback,
    same_as: int | None,
    reviewer: str,
    chosen: str,
    group: str | None,
    reason: str | None,
) -> None:
    if chosen != known.approved_correction:
        leave_duplicates(db, known.id)
    if same_as is not None:
        put_duplicate(db, known.id, same_as)  # first: approved, it would be the newest pair
    _review(db, known, "approved", reviewer, chosen, group, reason)
    if known.status == "approved":
        accept_passages(db, known.id, actor=reviewer)


def _answer(db: Database, known: Feedback, keys: tuple[str, str], chosen: str) -> None:
    put_override(
        db,
        known.workspace_id,
        feedback_id=known.id,
        question=known.question,
        keys=keys,
        answer=chosen,
    )


def wanted(item: Feedback, correction: str | None = None) -> str | None:
    """The text that approving would teach.

    The reviewer's `correction`, else what a first yes was said to, else the contributor's.
    """
    return _text(correction) or item.first_text or item.correction


def default_group(question: str) -> str:
    """The need that feedback belongs to when nobody named one: its own question."""
    return normalise(question)[:GROUP_LENGTH]


def reject(db: Database, feedback_id: int, *, reviewer: str, seen: str | None = None) -> Feedback:
    """Say no: it is not taught. One that was approved before is served no more either.

    One no is enough, whoever said yes before. `seen` as in `approve`.
    """
    with write_transaction(db):
        known = feedback(db, feedback_id)
        refuse_changed(db, known, seen)
        leave_duplicates(db, known.id)
        forget(db, known.id)
        _review(db, known, "rejected", reviewer, None)
        withdraw(db, known.id)
    return feedback(db, feedback_id)


def _wait(
    db: Database,
    known: Feedback,
    reviewer: str,
    text: str,
    group: str | None,
    despite_check: str | None,
) -> None:
    """It has a first yes: until there is a second it is neither taught nor served."""
    if known.status == "approved":
        leave_duplicates(db, known.id)
        withdraw(db, known.id)
    write(
        db,
        """update feedback set status = ?, reviewer = null, reviewed_at = null,
        approved_correction = null, "group" = ? where id = ?""",
        known.status if known.status == "quarantined" else "new",
        _group(group or "") or known.group,
        known.id,
    )
    seal(db, known.id)
    _note(db, known, "feedback first yes", reviewer, text, despite_check)


def _check_thumb(known: Feedback, reply: dict[str, Any]) -> None:
    """Whether a judgement without a correction can be approved: '' is its text then."""
    if known.rating is None:
        raise BadInput(
            f"Feedback {known.id} has no correction and no thumb: write the answer that was "
            "wanted, then approve."
        )
    if reply["finish_reason"] not in TEACHABLE or not known.answer.strip():
        raise BadInput(
            f"Feedback {known.id} judges a reply that teaches nothing, because it was "
            f"{_what_it_was(reply)}: write the answer that was wanted, or reject it."
        )


def _what_it_was(reply: dict[str, Any]) -> str:
    if reply["finish_reason"] == "override":
        return "an approved correction already"
    return "empty" if reply["finish_reason"] in TEACHABLE else "broken off"


def feedback_from_row(row: dict[str, Any]) -> Feedback:
    """The record of a row that SELECT_FEEDBACK gave."""
    lists = {name: tuple(json.loads(row[name])) for name in ("reasons", "review_reasons")}
    return Feedback(**{**row, **lists})


def _text(correction: str | None) -> str | None:
    """The correction as stored: None for nothing but space."""
    return clean(correction) if correction and correction.strip() else None


def _group(group: str) -> str:
    return " ".join(clean(group).split())[:GROUP_LENGTH]


def duplicate_key(question_key: str, before: str, correction: str | None) -> str:
    """What feedback that says the same has in common; `before` is the history's key."""
    parts = [question_key, before, normalise(correction or "")]
    return hashlib.sha256(to_json(parts).encode()).hexdigest()


def _reason(known: Feedback, fault: str | None, despite_check: str | None) -> str | None:
    """Why it is approved although it fails its check; None when it does not fail."""
    reason = " ".join(clean(despite_check or "").split())
    if fault and not reason:
        raise Refused(
            f"Feedback {known.id} fails its own check ({fault}): correct it, or approve it "
            "despite the check and say why (--despite-check REASON)."
        )
    return reason if fault else None


def _review(
    db: Database,
    known: Feedback,
    status: FeedbackStatus,
    reviewer: str,
    chosen: str | None,
    group: str | None = None,
    despite_check: str | None = None,
) -> None:
    write(
        db,
        f"""update feedback set status = ?, reviewer = ?, approved_correction = ?, "group" = ?,
        reviewed_at = {NEXT} where id = ?""",
        status,
        clean(reviewer),
        chosen,
        _group(group or "") or known.group,
        known.id,
    )
    seal(db, known.id)
    _note(db, known, f"feedback {status}", reviewer, chosen or "", despite_check)


def _note(
    db: Database, known: Feedback, act: str, reviewer: str, text: str, despite_check: str | None
) -> None:
    edited = bool(text) and text != known.correction
    detail: dict[str, Any] = {"was": known.status, "edited": edited}
    if despite_check:
        detail["despite_check"] = despite_check
    first = one(db, "select reviewer from first_yeses where feedback_id = ?", known.id)
    if first and first["reviewer"] != clean(reviewer):
        detail["first"] = first["reviewer"]
    audit(db, reviewer, act, f"feedback:{known.id}", detail)
