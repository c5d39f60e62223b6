"""A digest of all facts in the database, to see whether anything changed since the last copy."""

import hashlib

from sqlite_utils import Database

from storage.database import rows

NOT_COUNTED = ("backups", "audit")
"""A copy writes to these itself; what else they hold comes with a change somewhere else."""


def content_digest(db: Database) -> str:
    """The sha256 of every row of every table of ours, as hexadecimal text; reads all of them."""
    digest = hashlib.sha256()
    tables = rows(
        db,
        """select name from pragma_table_list
        where schema = 'main' and type = 'table' and name not like 'sqlite%' order by name""",
    )
    db.conn.execute("begin")  # one moment for all tables
    try:
        for table in tables:
            if table["name"] not in NOT_COUNTED:
                digest.update(table["name"].encode())
                for row in db.conn.execute(f'select * from "{table["name"]}"'):
                    digest.update(repr(tuple(row)).encode(errors="replace"))
    finally:
        db.conn.execute("rollback")
    return digest.hexdigest()
