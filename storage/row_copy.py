"""A workspace's rows brought from another house's database until both say the same.

Rows keep their ids, so nothing that names one (inputs of replies, folders, owners) is rewritten.
Each pass compares row by row and brings what differs, so one that was cut off is simply done again.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database

from storage.database import one, open_beside, open_database, rows, write, write_transaction
from storage.errors import Refused
from storage.fences import set_place
from storage.workspace_rows import OF_WORKSPACE, Table, rows_of, table_of

AT_ONCE = 1000
"""Rows of one statement."""
TURN_S = 0.3
"""Seconds after which a transaction ends: others write to the house meanwhile."""


@contextmanager
def beside(target: Path, source: Path) -> Iterator[Database]:
    """The database at `target` with that at `source` beside it. Refused for two versions."""
    # who only reads may not find the log in the moment in which the last writer removes it
    with closing(open_database(source)), closing(open_beside(target, source)) as db:
        found = "select group_concat(name) as names from (select name from {}._sqlite_migrations "
        here, there = (one(db, f"{found.format(s)}order by name)") for s in ("main", "source"))
        if here != there:
            raise Refused(
                "The two cells are of different versions of Apprentice: update both, start each "
                "once, then move."
            )
        yield db


def bring_rows(db: Database, workspace_id: int, *, together: bool = False) -> int:
    """One pass over all tables; returns how many rows were brought, changed or taken away.

    In turns of TURN_S, between which others write to the house; `together`: in one transaction, for
    when nobody may see it half done.
    """
    return _in_turns(db, _pass(db, workspace_id), together=together)


def _pass(db: Database, workspace_id: int) -> Iterator[int]:
    """Does the pass act by act; each gives how many rows it changed."""
    tables = [table_of(db, name) for name in OF_WORKSPACE]
    for table in reversed(tables):
        yield _take_away(db, table, workspace_id)
    for table in tables:
        yield _change(db, table, workspace_id)
        brought = AT_ONCE
        while brought == AT_ONCE:
            brought = _bring(db, table, workspace_id)
            yield brought


def differences(db: Database, workspace_id: int) -> dict[str, int]:
    """By table, how many rows are on one side only or not the same; {} when both are equal."""
    found = {}
    for name in OF_WORKSPACE:
        table = table_of(db, name)
        here, there = (rows_of(name, workspace_id, schema=s, row="a") for s in ("main", "source"))
        missing = _count(db, f"source.{name} a where {there} and {_no_equal(table, 'main')}")
        surplus = _count(db, f"main.{name} a where {here} and {_no_equal(table, 'source')}")
        if missing + surplus:
            found[name] = missing + surplus
    return found


def counts_and_hash(path: Path, workspace_id: int) -> tuple[dict[str, int], str]:
    """Rows by table and the SHA-256 of all of them in the order of their keys."""
    counts, digest = {}, hashlib.sha256()
    with closing(open_database(path)) as db:
        for name in OF_WORKSPACE:
            table = table_of(db, name)
            digest.update(name.encode())
            counts[name] = 0
            found = db.conn.execute(
                f"""select {_names(table.columns)} from {name}
                where {rows_of(name, workspace_id)} order by {_names(table.key)}"""
            )
            for row in found:
                digest.update(repr(row).encode())
                counts[name] += 1
    return counts, digest.hexdigest()


def delete_rows(path: Path, workspace_id: int) -> int:
    """Delete the workspace's rows, its own last, a thousand at once; returns how many went.

    Also behind a fence, which goes with the last row. What was erased here stays on record.
    """
    with closing(open_database(path)) as db:
        db.conn.execute("pragma foreign_keys = off")  # each table is named, children first
        deleted = _in_turns(db, _deletion(db, workspace_id))
        with write_transaction(db):
            for name in ("adapter_signatures", "adapter_proofs"):
                write(db, f"delete from {name} where adapter_id not in (select id from adapters)")
            set_place(db, workspace_id, "here", "none")
            write(db, "delete from workspaces where id = ?", workspace_id)
    return deleted


def _deletion(db: Database, workspace_id: int) -> Iterator[int]:
    for name in (name for name in reversed(OF_WORKSPACE) if name != "erasures"):
        key = _names(table_of(db, name).key)
        part = f"select {key} from {name} where {rows_of(name, workspace_id)} limit {AT_ONCE}"
        gone = AT_ONCE
        while gone == AT_ONCE:
            gone = write(db, f"delete from {name} where ({key}) in ({part})")
            yield gone


def _in_turns(db: Database, acts: Iterator[int], *, together: bool = False) -> int:
    """Does the acts in transactions of TURN_S, or in one; returns the sum of what they give."""
    changed, over = 0, False
    while not over:
        over = True
        with _lifted(db):
            end = time.monotonic() + TURN_S
            for count in acts:
                changed += count
                if not together and time.monotonic() > end:
                    over = False
                    break
    return changed


def _take_away(db: Database, table: Table, workspace_id: int) -> int:
    """Rows that the source has no more, and did not have."""
    here = rows_of(table.name, workspace_id, schema="main", row=table.name)
    same = " and ".join(f's."{name}" is {table.name}."{name}"' for name in table.key)
    return write(
        db,
        f"""delete from main.{table.name} where {here}
        and not exists (select 1 from source.{table.name} s where {same})""",
    )


def _change(db: Database, table: Table, workspace_id: int) -> int:
    """Rows that the source has otherwise; they keep their place in the order of rows."""
    others = table.columns[len(table.key) :]
    if not others:
        return 0
    name, here = table.name, rows_of(table.name, workspace_id, schema="main", row=table.name)
    same = " and ".join(f's."{one}" is {name}."{one}"' for one in table.key)
    equal = " and ".join(f's."{one}" is {name}."{one}"' for one in others)
    return write(
        db,
        f"""update or replace main.{name} set ({_names(others)}) =
            (select {_names(others)} from source.{name} s where {same})
        where {here} and exists (select 1 from source.{name} s where {same} and not ({equal}))""",
    )


def _bring(db: Database, table: Table, workspace_id: int) -> int:
    """The next rows that are missing here, in the order in which they were written there."""
    name, there = table.name, rows_of(table.name, workspace_id, schema="source", row="s")
    same = " and ".join(f't."{one}" is s."{one}"' for one in table.key)
    order = "s.rowid" if table.has_rowid else _names(table.key)
    return write(
        db,
        f"""insert into main.{name} ({_names(table.columns)})
        select {_names(table.columns)} from source.{name} s where {there}
        and not exists (select 1 from main.{name} t where {same})
        order by {order} limit {AT_ONCE}""",
    )


@contextmanager
def _lifted(db: Database) -> Iterator[None]:
    """A transaction in which no trigger acts: a copy is exact."""
    with write_transaction(db):
        found = rows(db, "select name, sql from main.sqlite_schema where type = 'trigger'")
        for trigger in found:
            write(db, f'drop trigger "{trigger["name"]}"')
        yield
        for trigger in found:
            write(db, trigger["sql"])


def _no_equal(table: Table, schema: str) -> str:
    equal = " and ".join(f'b."{name}" is a."{name}"' for name in table.columns)
    return f"not exists (select 1 from {schema}.{table.name} b where {equal})"


def _count(db: Database, what: str) -> int:
    found = one(db, f"select count(*) as count from {what}")
    return int(found["count"]) if found else 0


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
