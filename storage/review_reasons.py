"""Why a reply was wrong, as a reviewer sees it; what the contributor ticked stays beside it."""

from collections.abc import Sequence

from sqlite_utils import Database

from storage.audit import audit
from storage.database import write, write_transaction
from storage.feedback import feedback
from storage.records import Feedback
from storage.text import clean, to_json


def set_review_reasons(
    db: Database, feedback_id: int, reasons: Sequence[str], *, reviewer: str
) -> Feedback:
    """Put these reasons in the place of those that a reviewer gave before; none takes them away.

    NotFound for unknown feedback.
    """
    with write_transaction(db):
        known = feedback(db, feedback_id)
        given = list(dict.fromkeys(map(clean, reasons)))
        if tuple(given) != known.review_reasons:
            sql = "update feedback set review_reasons = ? where id = ?"
            write(db, sql, to_json(given), known.id)
            audit(db, reviewer, "feedback reasons set", f"feedback:{known.id}", {"reasons": given})
    return feedback(db, feedback_id)
