"""Thumbs that their giver takes back: they are counted and trained on no more."""

from typing import Any

from sqlite_utils import Database

from storage.audit import audit
from storage.database import rows, write, write_transaction
from storage.feedback_seals import seal
from storage.text import clean


def take_back(db: Database, message_id: str, contributor: str) -> int:
    """Take back every thumb of the contributor on this reply; returns how many there were.

    What was said beside it stays: a correction, reasons, a comment. A bare thumb that nobody has
    reviewed goes; one that was approved is rejected, so that no later round learns from it.
    """
    with write_transaction(db):
        given = rows(
            db,
            """select id, status, approved_correction,
            correction is null and comment = '' and reasons = '[]' as bare
            from feedback where message_id = ? and contributor = ? and rating is not null""",
            clean(message_id),
            clean(contributor),
        )
        for row in given:
            if row["bare"] and row["status"] in ("new", "quarantined"):
                write(db, "delete from feedback where id = ?", row["id"])
            else:
                _empty(db, row, clean(contributor))
    return len(given)


def _empty(db: Database, row: dict[str, Any], contributor: str) -> None:
    """Nothing of the thumb is left in its row; '' says that it was approved as a thumb."""
    taught = row["status"] == "approved" and row["approved_correction"] == ""
    status = "rejected" if taught else row["status"]
    write(
        db,
        """update feedback set rating = null, status = ?,
        approved_correction = nullif(approved_correction, '') where id = ?""",
        *(status, row["id"]),
    )
    write(db, "delete from first_yeses where feedback_id = ? and text = ''", row["id"])
    seal(db, row["id"])
    audit(db, contributor, "thumb taken back", f"feedback:{row['id']}", {"was": row["status"]})
