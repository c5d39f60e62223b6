"""Corrections that say the same: one of them trains, the others are on record as its duplicates.

A duplicate still answers its own wording at once. When the one that trains is rejected or worded
anew, the oldest of its duplicates takes its place.
"""

from sqlite_utils import Database

from storage.database import insert, one, rows, write, write_transaction


def put_duplicate(db: Database, feedback_id: int, same_as: int) -> None:
    """Note that feedback says the same as another, which must train itself; else nothing is noted.

    What counted as a duplicate of the first becomes one of the other.
    """
    with write_transaction(db):
        trains = one(db, "select 1 from pairs where feedback_id = ?", same_as)
        if trains is None or feedback_id == same_as:
            return
        write(db, "update duplicates set same_as = ? where same_as = ?", same_as, feedback_id)
        write(db, "delete from duplicates where feedback_id = ?", feedback_id)
        insert(db, "duplicates", feedback_id=feedback_id, same_as=same_as)


def leave_duplicates(db: Database, feedback_id: int) -> None:
    """Feedback stands for itself again, and so do those that it stood for: the oldest for all."""
    with write_transaction(db):
        write(db, "delete from duplicates where feedback_id = ?", feedback_id)
        others = [
            row["feedback_id"]
            for row in rows(
                db,
                "select feedback_id from duplicates where same_as = ? order by feedback_id",
                feedback_id,
            )
        ]
        if others:
            write(db, "delete from duplicates where feedback_id = ?", others[0])
            write(db, "update duplicates set same_as = ? where same_as = ?", others[0], feedback_id)
