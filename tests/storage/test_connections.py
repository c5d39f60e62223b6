"""Connections are lent to one borrower at a time, and never of another file."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from storage.connections import KEPT, Connections
from storage.database import insert, one, open_database, prepare_database, write, write_transaction
from storage.errors import NotFound


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "apprentice.db"
    prepare_database(path)
    with closing(open_database(path)) as db, write_transaction(db):
        write(db, "create table kept (name text)")
        insert(db, "kept", name="first")
    return path


@pytest.fixture
def connections(file):
    with closing(Connections(file)) as lent:
        yield lent


def test_it_is_lent_again_after_it_came_back_and_never_to_two(connections):
    first, second = connections.lend(), connections.lend()
    known = first.conn
    assert known is not second.conn
    first.close()
    assert connections.lend().conn is known
    second.close()


def test_another_thread_may_have_it_then(connections):
    with closing(connections.lend()) as db:
        known = db.conn
    found = []

    def ask() -> None:
        with closing(connections.lend()) as db:
            found.append((db.conn is known, one(db, "select 1 as n")))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [(True, {"n": 1})]


def test_a_closed_one_is_of_no_use_and_is_given_back_once(connections):
    db = connections.lend()
    db.close()
    db.close()
    with pytest.raises(sqlite3.ProgrammingError):
        db.conn.execute("select 1")
    assert connections.lend().conn is not connections.lend().conn


def test_what_a_borrower_left_open_is_rolled_back(connections):
    db = connections.lend()
    db.conn.execute("begin immediate")
    db.conn.execute("update kept set name = 'half'")
    db.close()
    with closing(connections.lend()) as db, write_transaction(db):
        assert one(db, "select name from kept")["name"] == "first"
        write(db, "update kept set name = 'whole'")
    with closing(connections.lend()) as db:
        assert one(db, "select name from kept")["name"] == "whole"


def test_a_file_that_was_put_in_its_place_is_read(connections, file, tmp_path):
    old = connections.lend()
    connections.lend().close()
    shutil.copy(file, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        copy.execute("update kept set name = 'restored'")
        copy.commit()
    os.replace(tmp_path / "copy.db", file)
    old.close()  # of the file that was
    for _ in range(2):
        with closing(connections.lend()) as db:
            assert one(db, "select name from kept")["name"] == "restored"


def test_a_file_that_is_gone_is_said(connections, file):
    connections.lend().close()
    file.unlink()
    with pytest.raises(NotFound, match="There is no database at"):
        connections.lend()


def test_few_are_kept_and_none_after_the_end(connections):
    several = [connections.lend() for _ in range(KEPT + 4)]
    for db in several:
        db.close()
    assert len(connections._idle) == KEPT
    connections.close()
    with closing(connections.lend()) as db:
        assert one(db, "select 1 as n") == {"n": 1}
    assert connections._idle == []
