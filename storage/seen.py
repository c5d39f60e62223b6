"""A row of the queue as somebody saw it: whoever decides on it then decides on nothing else.

Two reviewers may open the same row. The first decision counts; the second is refused in words where
the row is not as it was seen, so that nobody overwrites what they have not read.
"""

import hashlib

from sqlite_utils import Database

from storage.errors import NotFound, Refused
from storage.records import Feedback
from storage.text import to_json
from storage.users import user_by_id


class Changed(Refused):
    """Somebody else decided on the row since it was seen."""


def mark_of(item: Feedback) -> str:
    """What changes with every decision on the feedback, its text and its question."""
    decided = (item.status, item.approved_correction, item.reviewer, item.reviewed_at)
    first = (item.first_reviewer, item.first_text, item.first_at)
    said = (item.question, item.correction, item.rating)
    return hashlib.sha256(to_json([item.id, *decided, *first, *said]).encode()).hexdigest()[:16]


def refuse_changed(db: Database, item: Feedback, seen: str | None) -> None:
    """Changed when `item` is not what had this mark; None: nothing was seen before."""
    if seen is not None and seen != mark_of(item):
        raise Changed(f"Feedback {item.id} {_what(db, item)} meanwhile: look at it again.")


def _what(db: Database, item: Feedback) -> str:
    if item.status in ("approved", "rejected"):
        return f"was {item.status} by {reviewer_name(db, item.reviewer or '')}"
    if item.first_reviewer:
        return f"got a first yes from {reviewer_name(db, item.first_reviewer)}"
    return "was changed, or a yes was taken back,"


def reviewer_name(db: Database, owner: str) -> str:
    """A user's name, or the owner as it is: `cli:<account>`, `<site>/user:<id>`."""
    kind, _, number = owner.partition(":")
    if kind != "user":
        return owner
    try:
        return user_by_id(db, int(number)).name
    except (NotFound, ValueError):
        return "a deleted user"


def approved_by(db: Database, item: Feedback) -> list[str]:
    """The names of who said yes to what is approved, or so far to what waits; the first first."""
    said = [item.first_reviewer, item.reviewer if item.status == "approved" else None]
    return [reviewer_name(db, one) for one in said if one]
