"""Open connections to one database, lent to one borrower at a time.

Opening one takes 0.8 ms of the processor, most of it for reading the schema, and a question on the
chat page takes eight; a lent one takes 0.03 ms.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from storage.database import OwnDatabase, connect

KEPT = 16
"""Idle connections; each keeps up to 2 MB of pages."""

_File = tuple[int, int]
"""Device and inode."""

_CLOSED = sqlite3.connect(":memory:")
_CLOSED.close()


class Connections:
    """Those of one server; its threads may share this, not a connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._file: _File = (0, 0)
        self._lock = threading.Lock()
        self._closed = False

    def lend(self) -> Database:
        """A connection of the caller's own until its `.close()`; raises as `open_database`."""
        file = _file_at(self._path)
        with self._lock:
            if file != self._file:  # another file stands there now: a restored copy, or none
                self._let_go()
                self._file = file
            idle = self._idle.pop() if self._idle else None
        return _Lent(idle or connect(self._path, lent=True), self._take_back, file)

    def _take_back(self, connection: sqlite3.Connection, file: _File) -> None:
        """From a borrower; what it left open is rolled back."""
        if connection.in_transaction:
            connection.rollback()
        with self._lock:
            if len(self._idle) < KEPT and file == self._file and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Keep none from now on; what is lent closes when it comes back."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        while self._idle:
            self._idle.pop().close()


class _Lent(OwnDatabase):
    """Closing it gives the connection back; afterwards it is as any closed one."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        take_back: Callable[[sqlite3.Connection, _File], None],
        file: _File,
    ) -> None:
        super().__init__(connection)
        self._take_back = take_back
        self._file = file

    def close(self) -> None:
        """Give it back, once."""
        connection, self.conn = self.conn, _CLOSED
        if connection is not _CLOSED:
            self._take_back(connection, self._file)


def _file_at(path: Path) -> _File:
    try:
        known = os.stat(path)
    except OSError:
        return (0, 0)
    return known.st_dev, known.st_ino
