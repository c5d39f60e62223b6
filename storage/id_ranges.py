"""Numbers that no two houses give out: so rows move between houses and keep their ids.

SQLite gives the next row the number after the largest of its table. A house that begins at a range
above all that were given out before has it to itself, and so it begins a new one before rows of
another house come in.
"""

from sqlite_utils import Database

from storage.database import one, rows, write, write_transaction

BITS = 30
"""A range has 2^30 numbers of each table; 2^23 ranges stay below the 2^53 that JavaScript counts
exactly."""
RANGES = 2**23


def begin_range(db: Database, number: int) -> None:
    """Have every table's next row come from range `number`, unless it is beyond that already."""
    first = number << BITS
    made = "select name from main.sqlite_schema where type = 'table' and sql like '%autoincrement%'"
    with write_transaction(db):
        for row in rows(db, made):
            known = one(db, "select seq from main.sqlite_sequence where name = ?", row["name"])
            if row["name"] == "audit":  # a chain of its own, which nothing is brought into
                continue
            if known is None:
                sql = "insert into main.sqlite_sequence (seq, name) values (?, ?)"
                write(db, sql, first, row["name"])
            elif known["seq"] < first:
                sql = "update main.sqlite_sequence set seq = ? where name = ?"
                write(db, sql, first, row["name"])


def is_unused(db: Database) -> bool:
    """Whether nobody has written anything here yet but the default workspace."""
    tables = ("users", "conversations", "documents", "feedback", "keys", "jobs")
    used = any(one(db, f"select 1 from {name}") for name in tables)
    return not used and len(rows(db, "select id from workspaces")) == 1
