"""The cells of a fleet: which data directory each has, where it answers, and what moves between.

A cell is a data directory with a server of its own; a workspace is in one cell. The file has a row
for each move, written before each step, and the step `flipped` is what makes the workspace another
cell's: whatever was cut off is settled by it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sqlite_utils import Database

from storage.database import NOW, insert, one, open_database, rows, write, write_transaction
from storage.datadir import DataDir
from storage.errors import BadInput, NotFound, Refused
from storage.id_ranges import RANGES

Step = Literal["copying", "held", "flipped", "settled", "done", "cancelled"]

_TABLES = f"""
create table if not exists cells (
    name text primary key check (length(name) between 1 and 63),
    data text not null unique,
    address text not null unique,
    added_at text not null default ({NOW})
) strict;
create table if not exists ranges (
    number integer primary key autoincrement,
    cell text not null
) strict;
create table if not exists moves (
    id integer primary key autoincrement,
    workspace text not null,
    workspace_id integer not null,
    source text not null references cells(name),
    target text not null references cells(name),
    step text not null default 'copying'
        check (step in ('copying', 'held', 'flipped', 'settled', 'done', 'cancelled')),
    actor text not null,
    proof text not null default '', -- of the rows at the flip
    began_at text not null default ({NOW}),
    flipped_at text,
    ended_at text
) strict;
create unique index if not exists moves_one on moves(workspace)
    where step not in ('done', 'cancelled');
create table if not exists router (
    key text primary key,
    value text not null
) strict, without rowid;
"""


@dataclass(frozen=True)
class Cell:
    """A data directory with the address at which its server answers."""

    name: str
    data: Path
    address: str
    """As the router reaches it: http://HOST:PORT."""

    @property
    def datadir(self) -> DataDir:
        """Its layout."""
        return DataDir(self.data)

    @property
    def host(self) -> str:
        """The host of its address."""
        return str(urlsplit(self.address).hostname)

    @property
    def port(self) -> int:
        """The port of its address."""
        return int(urlsplit(self.address).port or 80)


@dataclass(frozen=True)
class Move:
    """A workspace on its way; `flipped_at` None: it is still the source's."""

    id: int
    workspace: str
    workspace_id: int
    source: str
    target: str
    step: Step
    actor: str
    proof: str
    began_at: str
    flipped_at: str | None
    ended_at: str | None

    @property
    def owner(self) -> str:
        """The one cell that has the workspace."""
        return self.target if self.flipped_at else self.source


def open_cells(path: Path, *, make: bool = False) -> Database:
    """The file of cells. NotFound when there is none and it is not to be made."""
    path = path.expanduser().absolute()
    if make and not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise BadInput(
                f"The file of cells {path} cannot be made ({error.strerror}): set APPRENTICE_CELLS "
                "to a place where this user may write."
            ) from error
    if not path.is_file():
        raise NotFound(
            f"There is no file of cells at {path}: set APPRENTICE_CELLS to the one there is, or "
            "begin with `apprentice cells add NAME --data DIR --address URL`."
        )
    db = open_database(path)
    if make:
        db.conn.execute("pragma journal_mode = wal")
        db.executescript(_TABLES)
    return db


def cell(db: Database, name: str) -> Cell:
    """The cell called `name`; NotFound otherwise."""
    found = next((one for one in list_cells(db) if one.name == name), None)
    if found is None:
        raise NotFound(f"There is no cell {name[:80]!r}: `apprentice cells list` shows them.")
    return found


def list_cells(db: Database) -> list[Cell]:
    """All cells, in the order in which they were added."""
    found = rows(db, "select name, data, address from cells order by rowid")
    return [Cell(row["name"], Path(row["data"]), row["address"]) for row in found]


def add_cell(db: Database, name: str, data: Path, address: str) -> Cell:
    """Note a cell. BadInput for an address that is none, or what another cell has."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise BadInput(
            f"{address[:100]!r} is no address of a cell: give it as the router reaches it, such as "
            "http://127.0.0.1:7861."
        )
    made = Cell(name, data.expanduser().absolute(), f"http://{parts.netloc}")
    with write_transaction(db):
        for known in list_cells(db):
            if name == known.name or made.data == known.data or made.address == known.address:
                raise BadInput(
                    f"The cell {known.name!r} has {known.data} and {known.address} already: each "
                    "cell has its own name, data directory and address."
                )
        insert(db, "cells", name=name, data=str(made.data), address=made.address)
    return made


def new_range(db: Database, cell_name: str) -> int:
    """The next range of ids, above all before it (see `storage.id_ranges`)."""
    with write_transaction(db):
        number = insert(db, "ranges", cell=cell_name)
        if number >= RANGES:
            raise Refused(f"All {RANGES} ranges of ids are given out: nothing can move any more.")
    return number


def begin_move(
    db: Database, workspace: str, workspace_id: int, source: str, target: str, actor: str
) -> Move:
    """Write a move down, or find the one that was cut off. Refused for one to somewhere else."""
    with write_transaction(db):
        known = next((one for one in unfinished(db) if one.workspace == workspace), None)
        if known is None:
            insert(
                db,
                "moves",
                workspace=workspace,
                workspace_id=workspace_id,
                source=source,
                target=target,
                actor=actor,
            )
            known = next(one for one in unfinished(db) if one.workspace == workspace)
    if known.target != target:
        raise Refused(
            f"The workspace {workspace!r} is on its way from {known.source} to {known.target}: "
            f"finish that with `apprentice cells move {workspace} --to {known.target}`."
        )
    return known


def take_step(db: Database, move: Move, step: Step, *, proof: str = "") -> Move:
    """Write down that the move has come so far; `flipped` gives the workspace to the target."""
    times = {"flipped": "flipped_at", "done": "ended_at", "cancelled": "ended_at"}
    with write_transaction(db):
        write(db, "update moves set step = ? where id = ?", step, move.id)
        if step in times:
            write(db, f"update moves set {times[step]} = {NOW} where id = ?", move.id)
        if proof:
            write(db, "update moves set proof = ? where id = ?", proof, move.id)
    found = one(db, "select * from moves where id = ?", move.id)
    assert found is not None
    return Move(**found)


def unfinished(db: Database) -> list[Move]:
    """Moves that are under way or were cut off."""
    sql = "select * from moves where step not in ('done', 'cancelled') order by id"
    return [Move(**row) for row in rows(db, sql)]


def router_settings(db: Database) -> dict[str, str]:
    """What is known of the router: `domain`, `file`, `listen`, `reload`."""
    return {row["key"]: row["value"] for row in rows(db, "select key, value from router")}


def set_router(db: Database, **values: str | None) -> None:
    """Note what is known of the router; None leaves what was."""
    with write_transaction(db):
        for key, value in values.items():
            if value is not None:
                write(db, "insert or replace into router (key, value) values (?, ?)", key, value)


@contextmanager
def moving_lock(path: Path) -> Iterator[None]:
    """Held by the one command that moves something; it ends with that command, however it ends.

    Raises Refused while another one holds it for longer than two seconds: a server that looks holds
    it for a moment.
    """
    handle = os.open(f"{path.expanduser().absolute()}-moving", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait_for(handle, time.monotonic() + 2)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise Refused(
                    "Another workspace is being moved: wait until that is done, then move this one."
                ) from None
            time.sleep(0.05)


@contextmanager
def opened_cells(path: Path, *, make: bool = False) -> Iterator[Database]:
    """`open_cells`, closed at the end of the block."""
    with closing(open_cells(path, make=make)) as db:
        yield db
