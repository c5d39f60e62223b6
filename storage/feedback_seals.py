"""A hash of what feedback says beside it, so that a bit that flips on the disk shows.

SQLite has no checksums: of single bits flipped in a page's content its own check found one in ten.
A seal is made with each change that the house makes, in the same transaction. It protects from
disks and memory, not from people: whoever can write to the file can make it anew.
"""

import hashlib
from collections.abc import Iterable, Iterator

from sqlite_utils import Database

from storage.database import one, write

SEALED = (
    *("message_id", "origin", "contributor", "status", "question", "rating", "reasons"),
    *("comment", "correction", "approved_correction"),
)
"""What is taught, served and shown as somebody's word. m030 has sealed older rows by this list: to
change it takes a migration that seals them anew."""

# as blobs: a flipped bit can end in what is no text at all, and then SQLite's reader raises
_COLUMNS = ", ".join(f'cast("{name}" as blob)' for name in SEALED)


def seal(db: Database, feedback_id: int) -> None:
    """Hash the row as it stands now, inside the transaction that changed it."""
    row = one(db, f"select {_COLUMNS} from feedback where id = ?", feedback_id)
    if row is not None:
        sql = "update feedback set text_hash = ? where id = ?"
        write(db, sql, _hash(row.values()), feedback_id)


def seal_all(db: Database) -> None:
    """Hash every row as it stands: for the migration that brings the seals."""
    found = db.conn.execute(f"select id, {_COLUMNS} from feedback").fetchall()
    seals = ((_hash(values), feedback_id) for feedback_id, *values in found)
    db.conn.executemany("update feedback set text_hash = ? where id = ?", seals)


def broken_seals(db: Database) -> list[int]:
    """Ids of feedback that does not say what was written. Every row is read."""
    return list(_broken(db))


def _broken(db: Database) -> Iterator[int]:
    sql = f"select id, cast(text_hash as blob), {_COLUMNS} from feedback order by id"
    for feedback_id, seal, *values in db.conn.execute(sql):
        if seal != _hash(values).encode():
            yield int(feedback_id)


def _hash(values: Iterable[bytes | None]) -> str:
    # lengths first, so that no two rows run together into the same bytes
    digest = hashlib.sha256()
    for value in values:
        digest.update(b"-" if value is None else f"{len(value)}:".encode() + value)
    return digest.hexdigest()
