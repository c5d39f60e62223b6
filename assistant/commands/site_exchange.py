"""Several installations, one queue: what waits at a site goes to the one that reviews, and the
verdicts come back. Files in JSON lines, carried by whoever runs both; nothing in them is run.

Secrets and personal data are masked on the way, as in every export. So a correction that had some
is judged with placeholders there; a yes to that is no yes to the words here, and is left to a
person of this house, while a no counts.
"""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.rows import optional_text, read_rows, required_text
from assistant.commands.who import actor
from assistant.masks import Masks
from assistant.private_values import values
from assistant.review import Reviews
from assistant.verbs import Event
from storage import feedback
from storage.attachments import made_with_files
from storage.audit import audit
from storage.conversations import message
from storage.database import one, rows, write_transaction
from storage.errors import ApprenticeError, BadInput, NotFound
from storage.feedback import TEACHABLE, default_group
from storage.records import Feedback, Pair, Workspace
from storage.seen import approved_by, reviewer_name
from storage.sites import other_site
from storage.text import to_json
from storage.workspaces import workspace as workspace_named

WAITS = ("quarantined", "new")
DECIDED = ("approved", "rejected")


@dataclass(frozen=True)
class Verdict:
    """What the reviewing installation decided on one row of this one."""

    id: str
    status: str
    judged: str
    correction: str | None
    group: str
    reviewers: tuple[str, ...]
    masked: bool


def queue_rows(db: Database, found: Workspace, site: str) -> Iterator[Event]:
    """What waits here, for `feedback import` of another installation; warnings say what does not.

    Left out is what is never learned, and thumbs on replies that teach nothing.
    """
    other_site(site)
    left = 0
    for item in _of_status(db, found, WAITS, ""):
        said = message(db, item.message_id)
        bare = item.correction is None and (
            said.finish_reason not in TEACHABLE or not item.answer.strip()
        )
        if bare or said.inputs is None or made_with_files(db, [item.message_id]):
            left += 1
        else:
            yield _waiting(db, found, item, site)
    if left:
        yield {"warning": f"{left} rows stay here: nothing could be learned from them."}


def verdict_rows(db: Database, found: Workspace, site: str) -> Iterator[Event]:
    """What was decided here on rows of that installation, for its `feedback verdicts`."""
    masks = Masks(db, found)
    for item in _of_status(db, found, DECIDED, other_site(site)):
        text = item.approved_correction
        shown = None if text is None else masks.text(text)
        given = text == item.correction
        named = item.status == "approved" and item.group != default_group(item.question)
        yield {
            "id": _id_there(db, item),
            "status": item.status,
            "judged": _judged_hash(item),
            "correction": None if given else shown,
            "masked": not given and shown != text,
            "group": masks.text(item.group) if named else "",
            "reviewers": approved_by(db, item) or [reviewer_name(db, item.reviewer or "")],
        }


def take_verdicts(app: App, *, workspace: str, file: str, by: str = "central") -> Iterator[Event]:
    """Decide as the reviewing installation did, under the names of its reviewers after `by`.

    A yes goes through the rule and the checks of this workspace; what was decided here stays.
    BadInput names every bad line, and then nothing is taken.
    """
    other_site(by)
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        given, _ = read_rows(file, _verdict)
        reviews = Reviews(app, db, found)
        counts = dict.fromkeys(("approved", "waits", "rejected", "decided_here", "left"), 0)
        for number, (_, verdict) in enumerate(given, start=1):
            done, told = _decide(db, reviews, _here(db, found, verdict.id), verdict, by)
            counts[done] += 1
            yield from ({"warning": text} for text in told)
            yield {"progress": number / len(given), "note": f"verdict {number} of {len(given)}"}
        reviews.close()
        with write_transaction(db):
            audit(db, actor(), "verdicts taken in", f"workspace:{found.id}", {"by": by, **counts})
    yield {"file": file, "verdicts": len(given), **counts}


def id_of(item: Feedback) -> str:
    """What a row is known by elsewhere: its number, and a hash that no other database gives it."""
    return f"{item.id}-{hashlib.sha256(item.message_id.encode()).hexdigest()[:16]}"


def _of_status(
    db: Database, found: Workspace, statuses: tuple[str, ...], site: str
) -> Iterator[Feedback]:
    """The oldest first; those of another installation only where it is asked for."""
    ids = rows(
        db,
        """select id from feedback where workspace_id = ?
        and status in (select value from json_each(?))
        and (site = ? or (? = '' and substr(site, 1, 5) != 'site:')) order by id""",
        *(found.id, to_json(list(statuses)), site, site),
    )
    for row in ids:
        yield feedback.feedback(db, row["id"])


def _here(db: Database, found: Workspace, id: str) -> Feedback | None:
    """The workspace's row with this id, if there is one still."""
    number = id.partition("-")[0]
    try:
        item = feedback.feedback(db, int(number)) if number.isdecimal() else None
    except (NotFound, OverflowError):
        return None
    return item if item and item.workspace_id == found.id and id_of(item) == id else None


def _waiting(db: Database, found: Workspace, item: Feedback, site: str) -> Event:
    masks = Masks(db, found)
    inputs = message(db, item.message_id).inputs
    assert inputs is not None
    pair = Pair(item.id, item.group, inputs, item.correction or "", item.answer or None)
    shown = masks.pair(pair).pair
    sent: Event = {"messages": [*shown.inputs.history, _asked(shown.inputs.question)]}
    sent["answer"] = shown.rejected
    sent["correction"] = shown.chosen or None
    sent["rating"] = item.rating
    sent["reasons"] = [masks.text(why) for why in item.reasons]
    sent["comment"] = masks.text(item.comment)
    sent["group"] = "" if item.group == default_group(item.question) else shown.group
    sent["contributor"] = _opaque(item.contributor)
    sent["passages"] = [passage.text for passage in inputs.passages]
    sent["from_site"] = {
        "name": site,
        "id": id_of(item),
        "origin": item.origin,
        "status": item.status,
    }
    return {name: value for name, value in sent.items() if value not in (None, "")}


def _asked(question: str) -> dict[str, str]:
    return {"role": "user", "content": question}


def _opaque(contributor: str) -> str:
    """A program may name its users by their addresses: such a name leaves as a hash."""
    if not values(contributor):
        return contributor
    return "hash:" + hashlib.sha256(contributor.encode()).hexdigest()[:32]


def _id_there(db: Database, item: Feedback) -> str:
    """The row's id at its own installation, from the key that it was taken in by."""
    row = one(db, "select idempotency_key as key from feedback where id = ?", item.id)
    return str(row["key"] if row else "").removeprefix(f"{item.site}:")


def _judged_hash(item: Feedback) -> str:
    """Of what a yes is said to: equal on both sides where nothing was masked on the way."""
    said = [text.strip() for text in (item.question, item.answer, item.correction or "")]
    return hashlib.sha256(to_json(said).encode()).hexdigest()


def _verdict(row: dict[str, Any]) -> Verdict:
    status = required_text(row, "status")
    if status not in DECIDED:
        raise BadInput(f"its status is {status[:40]!r}, neither approved nor rejected.")
    named = row.get("reviewers")
    if not isinstance(named, list) or not named or not all(isinstance(n, str) for n in named):
        raise BadInput("its reviewers are no list of names.")
    return Verdict(
        id=required_text(row, "id"),
        status=status,
        judged=required_text(row, "judged"),
        correction=optional_text(row, "correction"),
        group=optional_text(row, "group") or "",
        reviewers=tuple(named),
        masked=row.get("masked") is True,
    )


def _decide(
    db: Database, reviews: Reviews, item: Feedback | None, verdict: Verdict, by: str
) -> tuple[str, list[str]]:
    """What became of it, and what a person should know."""
    if item is None:
        return "left", [f"{verdict.id} is no feedback of this workspace: it may be erased."]
    if item.status in DECIDED and not _newer(item, verdict, by):
        return "decided_here", []
    names = [f"{by}/{name[:100]}" for name in dict.fromkeys(verdict.reviewers)]
    if verdict.status == "rejected":
        feedback.reject(db, item.id, reviewer=names[-1])
        return "rejected", []
    if verdict.masked or verdict.judged != _judged_hash(item):
        masked = "it was judged with private values masked, so its words are decided here"
        return "left", [f"feedback {item.id} stays {item.status}: {masked}."]
    text = verdict.correction or item.correction
    if text is None and item.first_text:
        return "left", [f"feedback {item.id} stays {item.status}: somebody words it anew here."]
    review = reviews.look(item, text)
    if review.fault or review.never:
        return "left", [f"feedback {item.id} stays {item.status}: {review.fault or review.never}."]
    try:
        for name in names:
            done, _ = reviews.approve(
                item, reviewer=name, correction=text, group=verdict.group or None
            )
    except ApprenticeError as error:
        return "left", [f"feedback {item.id} stays as it is: {error}"]
    return ("approved" if done.status == "approved" else "waits"), []


def _newer(item: Feedback, verdict: Verdict, by: str) -> bool:
    """Whether that installation decided it before, and otherwise."""
    same = item.approved_correction == (verdict.correction or item.correction)
    changed = item.status != verdict.status or (item.status == "approved" and not same)
    return changed and (item.reviewer or "").startswith(f"{by}/")
