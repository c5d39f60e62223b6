"""What feedback may say, and whether the very same was sent before."""

from collections.abc import Sequence
from typing import Any, get_args

from sqlite_utils import Database

from storage.database import one
from storage.errors import BadInput, Refused
from storage.records import Origin
from storage.text import clean

LONGEST_TEXT = 100_000
"""Characters of comment, correction and reasons together: more is no answer to anything."""


def check_given(
    origin: str, rating: int | None, reasons: Sequence[str], comment: str, correction: str | None
) -> None:
    """BadInput for an unknown origin or rating, what is too long, and what says nothing."""
    if origin not in get_args(Origin):
        raise BadInput(f"{clean(origin)!r} is no origin: use one of {', '.join(get_args(Origin))}.")
    if rating not in (None, 1, -1):
        raise BadInput(f"{rating!r} is no rating: give 1 or -1.")
    length = len(comment) + len(correction or "") + sum(len(reason) for reason in reasons)
    if length > LONGEST_TEXT:
        raise BadInput(
            f"The feedback is {length:,} characters long: keep it under {LONGEST_TEXT:,}."
        )
    if rating is None and not (reasons or comment.strip() or (correction or "").strip()):
        raise BadInput("The feedback is empty: give a rating, reasons, a comment or a correction.")


def sent_before(
    db: Database, workspace_id: int, said: dict[str, Any], idempotency_key: str | None
) -> int | None:
    """The id of the same feedback sent with this key; Refused where the key was for other."""
    if not idempotency_key:
        return None
    row = one(
        db,
        f"""select id, {", ".join(said)} from feedback
        where workspace_id = ? and idempotency_key = ?""",
        workspace_id,
        clean(idempotency_key),
    )
    if row and not said.items() <= row.items():
        raise Refused(
            f"The idempotency key {clean(idempotency_key)[:100]!r} was used for other feedback: "
            "send a new key with each new feedback."
        )
    return row["id"] if row else None
