"""The only place that opens SQLite, and the only way to write to it.

A connection is cheap (0.5 ms): open one per call or per thread, never share one. A write begins
*immediate*: a deferred transaction that reads first loses 375 of 400 concurrent writes to
"database is locked", without waiting for the busy timeout (measured).

Writers also queue on a lock file, held until the commit and the checkpoint that may follow it are
over. SQLite before 3.51.3 can corrupt a database when one connection commits while another one
checkpoints (https://sqlite.org/wal.html#walresetbug); Debian 12 links 3.40.1.
"""

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.errors import ApprenticeError, BadInput, Moving, NotFound, Refused

BUSY_SECONDS = 10.0
"""How long a writer waits for the others."""

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ','now')"
"""SQL for the time now: ISO 8601 UTC with milliseconds. The house has this one clock."""

_LAST = "(select at from audit order by id desc limit 1)"
LATEST = f"max({NOW}, coalesce({_LAST}, ''))"
"""SQL for the time now, never before the newest act's: a clock that was set back turns no order of
two acts round."""
NEXT = f"max({NOW}, coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', {_LAST}, '+0.001 seconds'), ''))"
"""SQL for a time after the newest act's. What is reviewed, taught, copied and erased compares by
these two; all else is by `NOW`."""

MOVING = "the workspace is being moved"
"""What the triggers of `storage.fences` say to a write that they stop."""

_SETTINGS = """
pragma synchronous = full;
pragma foreign_keys = on;
pragma trusted_schema = off;
pragma cell_size_check = on;
pragma secure_delete = on;
"""


class DatabaseBusy(Refused):
    """Another writer held the database for ten seconds."""


class DiskFull(Refused):
    """The disk took no more, or failed."""


class OwnDatabase(Database):
    """The library's, without plugins: what is installed beside us adds nothing to connections."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, execute_plugins=False)

    def executescript(self, sql: str) -> sqlite3.Cursor:
        """As the library's, which inside a transaction asks SQLite after each character whether the
        statement is over: making a new database took 0.23 s of processor time so, now 0.06 s."""
        if not self.conn.in_transaction:
            return super().executescript(sql)
        cursor, statement = self.conn.cursor(), ""
        for part in sql.split(";"):
            statement += f"{part};"
            if sqlite3.complete_statement(statement):
                cursor.execute(statement)
                statement = ""
        return cursor.execute(statement)  # what was cut off, for SQLite to refuse


def open_database(path: Path) -> Database:
    """Open the database file at `path` for this thread; close it with `.close()` or `with`.

    Raises NotFound when there is no such file (`prepare_database` makes it), BadInput when it
    cannot be opened or is not SQLite.
    """
    return OwnDatabase(connect(path))


def connect(path: Path, *, lent: bool = False) -> sqlite3.Connection:
    """The connection behind `open_database`; one that is `lent` may change threads between uses."""
    if not path.is_file():
        raise NotFound(f"There is no database at {path}: name a data directory that holds one.")
    # autocommit at the driver: transactions begin where write_transaction says, nowhere else
    how = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": not lent}
    connection = sqlite3.connect(path, **how)  # type: ignore[call-overload]
    try:
        connection.executescript(_SETTINGS)
        connection.execute("select count(*) from sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable(path, error) from error
    return connection


def open_beside(path: Path, other: Path) -> Database:
    """The database at `path` to write to, with that at `other` as `source`, which is only read.

    Foreign keys are not looked at: rows come table by table. Raises as `open_database`.
    """
    for one in (path, other):
        open_database(one).close()
    how = {"timeout": BUSY_SECONDS, "isolation_level": None, "uri": True}
    connection = sqlite3.connect(path.absolute().as_uri(), **how)  # type: ignore[call-overload]
    try:
        connection.executescript(_SETTINGS)
        connection.execute("pragma foreign_keys = off")
        # read-only: `begin immediate` would also lock the other one's writers out
        connection.execute("attach ? as source", [f"{other.absolute().as_uri()}?mode=ro"])
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    return OwnDatabase(connection)


def prepare_database(path: Path) -> None:
    """Create the file if missing (mode 0600) and apply the migrations it lacks; idempotent.

    All pending migrations are one transaction: either the file is at the latest version
    afterwards or it is as it was. Raises Refused for a file made by a newer version of this
    program, BadInput for a file that cannot be opened or is not SQLite.
    """
    try:
        # only a new file: POSIX takes all locks of a process from a file when any handle on it is
        # closed, and who closes the database next would then throw away the log that we write to
        # (https://sqlite.org/howtocorrupt.html, 2.2)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise _unwritable(path, "not a file") from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise _unwritable(path, os.strerror(errno.EACCES)) from None
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error
    with closing(open_database(path)) as db:
        _migrate(db, path)


def _migrate(db: Database, path: Path) -> None:
    # late: the migrations need this file's names
    from storage.newest_migrations import migrations

    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    unknown = sorted({applied.name for applied in migrations.applied(db)} - known)
    if unknown:
        raise Refused(
            f"The database {path} was made by a newer version of Apprentice ({unknown[-1]}): "
            "update Apprentice or use another data directory."
        )
    if not migrations.pending(db):
        return
    try:
        db.conn.execute("pragma journal_mode = wal")
        with write_transaction(db):
            # computed again inside: another process may have migrated meanwhile
            migrations.apply(db)
    except sqlite3.OperationalError as error:
        raise _unusable(path, error) from error


def _unwritable(path: Path, why: str) -> BadInput:
    return BadInput(
        f"The database {path} cannot be written ({why}): "
        "choose another data directory or give this user the right to write."
    )


def _unusable(path: Path, error: sqlite3.Error) -> BadInput:
    return BadInput(
        f"The database {path} cannot be used ({error}): "
        "check the disk and the rights on the folder, or restore a backup."
    )


@contextmanager
def write_transaction(db: Database) -> Iterator[Database]:
    """All writes inside happen together or not at all; inside another one it is a savepoint.

    Raises DatabaseBusy when another writer does not finish within ten seconds, DiskFull when the
    disk takes no more.
    """
    if db.conn.in_transaction:
        with db.atomic():
            yield db
        return
    with _writers_turn(db):
        db.conn.execute("begin immediate")
        try:
            yield db
            db.conn.execute("commit")
        except BaseException:
            # an error may already have ended the transaction; it must not be masked
            if db.conn.in_transaction:
                db.conn.execute("rollback")
            raise


_TURNS: dict[str, threading.Lock] = {}
"""By database: who of this process may wait for the lock file."""


@contextmanager
def _writers_turn(db: Database) -> Iterator[None]:
    """Hold the lock file beside the database; it counts between threads and processes alike.

    The threads of a process wait for each other asleep: a hundred that look at the file 500 times
    a second leave the one that writes no time.
    """
    path = db.conn.execute("pragma database_list").fetchone()[2]
    deadline = time.monotonic() + BUSY_SECONDS
    ours = _TURNS.setdefault(path, threading.Lock())
    if not ours.acquire(timeout=BUSY_SECONDS):
        raise _busy()
    try:
        handle = os.open(f"{path}-writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _wait_for(handle, deadline)
            yield
        except sqlite3.OperationalError as error:
            told = _told(error)
            if told is None:
                raise
            raise told from error
        except sqlite3.IntegrityError as error:
            if str(error) != MOVING:
                raise
            raise Moving from error
        finally:
            os.close(handle)
    finally:
        ours.release()


def _told(error: sqlite3.OperationalError) -> ApprenticeError | None:
    """What is the matter with the disk or another program, in a sentence; None: a fault of ours."""
    name = error.sqlite_errorname
    if name.startswith("SQLITE_BUSY"):  # another tool has the file open and does not queue
        return _busy()
    if name == "SQLITE_FULL":
        return DiskFull("The disk is full and nothing was saved: make room, then try again.")
    if name.startswith("SQLITE_IOERR"):
        return DiskFull(
            "The disk failed while this was saved: look at the disk, then whether it was saved."
        )
    return None


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not what it wrote; anything else is a fault of ours."""
    name = getattr(error, "sqlite_errorname", "")  # the driver's own errors have none
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _wait_for(handle: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise _busy() from None
        time.sleep(0.002)


def compact(db: Database) -> bool:
    """Write the file anew without what was deleted, and empty the write-ahead log.

    `secure_delete` overwrites deleted content, but a page that SQLite rearranges can keep an older
    copy of a row in its unused middle, and the log keeps every page until it is emptied. False when
    somebody read for ten seconds, so that the log could not be emptied.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    with _writers_turn(db):
        db.conn.execute("vacuum")
        while True:
            busy = db.conn.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
            if not busy or time.monotonic() > give_up:
                return not busy
            time.sleep(0.05)


def _busy() -> DatabaseBusy:
    return DatabaseBusy(
        f"The database was busy for {BUSY_SECONDS:g} seconds and nothing was saved: try again."
    )


def rows(db: Database, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """What `sql` gives, as dictionaries; fetched at once, so that no read stays open."""
    cursor = db.conn.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def tuples(db: Database, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What `rows` gives, without the names: for a million of them those cost three seconds."""
    return db.conn.execute(sql, parameters).fetchall()


def one(db: Database, sql: str, *parameters: Any) -> dict[str, Any] | None:
    """The first row that `sql` gives, or None."""
    found = rows(db, sql, *parameters)
    return found[0] if found else None


def write(db: Database, sql: str, *parameters: Any) -> int:
    """Run one changing statement; returns how many rows it changed."""
    assert db.conn.in_transaction, "writes belong inside write_transaction(db)"
    return db.conn.execute(sql, parameters).rowcount


def insert(db: Database, table: str, **values: Any) -> int:
    """Insert one row of named columns; returns its rowid."""
    assert db.conn.in_transaction, "writes belong inside write_transaction(db)"
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    sql = f"insert into {table} ({names}) values ({marks})"
    return int(db.conn.execute(sql, tuple(values.values())).lastrowid or 0)


def faults(db: Database) -> list[str]:
    """What SQLite itself finds wrong with the file, in its own words; empty when sound."""
    broken = [
        f"{row['table']} row {row['rowid']} points to a missing row of {row['parent']}"
        for row in rows(db, "pragma foreign_key_check")
    ]
    return page_faults(db) + broken


def page_faults(db: Database) -> list[str]:
    """What is wrong with the file's pages alone: 0.7 s for a million rows."""
    found = [str(next(iter(row.values()))) for row in rows(db, "pragma quick_check")]
    return [fault for fault in found if fault != "ok"]
