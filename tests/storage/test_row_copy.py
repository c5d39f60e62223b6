"""Rows of a workspace, the same in both houses to the last byte."""

import threading
import time
from contextlib import closing

import pytest

from storage import row_copy
from storage.conversations import add_message, delete_conversation, start_conversation
from storage.database import faults, one, open_database, rows, write, write_transaction
from storage.datadir import open_datadir
from storage.errors import Moving, NotFound, Refused
from storage.fences import set_place
from storage.row_copy import (
    beside,
    bring_rows,
    counts_and_hash,
    delete_rows,
    differences,
)
from storage.workspace_rows import OF_WORKSPACE, rows_of
from tests.full_workspace import ask, full_workspace

TRIGGERS = "select name, sql from sqlite_schema where type = 'trigger' order by name"


@pytest.fixture
def there(tmp_path):
    return open_datadir(tmp_path / "there")


@pytest.fixture
def shop(db, datadir):
    full_workspace(datadir, db, "other")
    return full_workspace(datadir, db, "shop")


def brought(datadir, there, shop):
    """As a move does it; returns what was brought."""
    with beside(there.database, datadir.database) as db:
        with write_transaction(db):
            write(db, "insert or ignore into main.workspaces select * from source.workspaces")
            write(db, "insert or ignore into main.users select * from source.users")
        changed = bring_rows(db, shop.id)
        assert differences(db, shop.id) == {}
    return changed


def test_both_are_equal_and_nothing_else_came(db, datadir, there, shop):
    with open_database(there.database) as other:
        before = rows(other, TRIGGERS)
    assert brought(datadir, there, shop) > 80
    here, copy = (counts_and_hash(one.database, shop.id) for one in (datadir, there))
    assert here == copy and all(here[0].values()), here
    with closing(open_database(there.database)) as other:
        assert rows(other, TRIGGERS) == before
        assert faults(other) == []
        for table in OF_WORKSPACE:
            mine = rows(other, f"select 1 from {table} where not ({rows_of(table, shop.id)})")
            assert len(mine) == (1 if table == "instructions_versions" else 0), table
    assert brought(datadir, there, shop) == 0


@pytest.mark.parametrize("together", [False, True])
def test_what_was_written_meanwhile_comes_and_what_was_deleted_goes(
    db, datadir, there, shop, together
):
    brought(datadir, there, shop)
    talk = start_conversation(db, shop.id, "user:1")
    first = add_message(db, talk.id, "user", "Something new")
    ask(db, shop.id, "user:1", "Asked meanwhile?")
    with write_transaction(db):
        write(db, "update chunks set text = 'other words' where position = 3")
        write(db, "delete from chunks where position = 4 and workspace_id = ?", shop.id)
        write(db, "update messages set content = 'changed' where content = 'I do not know.'")
    gone = start_conversation(db, shop.id, "user:1")
    delete_conversation(db, gone.id)
    with beside(there.database, datadir.database) as both:
        assert "messages" in differences(both, shop.id)
        bring_rows(both, shop.id, together=together)
        assert differences(both, shop.id) == {}
    with open_database(there.database) as other:
        assert one(other, "select content from messages where id = ?", first.id)
        assert len(rows(other, "select 1 from chunks where text = 'other words'")) == 1
    here, copy = (counts_and_hash(one.database, shop.id) for one in (datadir, there))
    assert here == copy


def test_the_order_of_what_was_said_stays_though_a_row_changed(db, datadir, there, shop):
    """Rows of one moment are told apart by the order in which they were written."""
    brought(datadir, there, shop)
    with write_transaction(db):
        write(db, "update messages set finish_reason = 'length' where rowid % 3 = 0")
    brought(datadir, there, shop)
    sql = f"select id from messages where {rows_of('messages', shop.id)} order by rowid"
    with open_database(there.database) as other:
        assert rows(other, sql) == rows(db, sql)


def test_deleted_behind_the_fence_and_no_other_row(db, datadir, shop):
    other = one(db, "select id from workspaces where name = 'other'")["id"]
    before = counts_and_hash(datadir.database, other)
    set_place(db, shop.id, "gone", "all")
    assert delete_rows(datadir.database, shop.id) > 80
    assert counts_and_hash(datadir.database, other) == before
    for table in (name for name in OF_WORKSPACE if name != "erasures"):
        assert rows(db, f"select 1 from {table} where {rows_of(table, shop.id)}") == [], table
    assert not one(db, "select 1 from workspaces where id = ?", shop.id)
    assert not rows(db, "select 1 from sqlite_schema where name like 'fence_%'")
    assert faults(db) == []
    assert delete_rows(datadir.database, shop.id) == 0  # once more, as after a crash


def test_while_it_is_deleted_nobody_writes_what_would_be_lost(db, datadir, shop, monkeypatch):
    """A writer that found its conversation before finds the fence between two turns, not a hole."""
    talk = start_conversation(db, shop.id, "user:1")
    monkeypatch.setattr(row_copy, "TURN_S", 0)
    over, ended = threading.Event(), []

    def write_all_the_time():
        with open_database(datadir.database) as late:
            while not over.is_set():
                try:
                    ended.append(add_message(late, talk.id, "user", "too late"))
                except (Moving, NotFound) as error:
                    ended.append(type(error))

    set_place(db, shop.id, "gone", "all")
    writer = threading.Thread(target=write_all_the_time)
    writer.start()
    try:
        while not ended:
            time.sleep(0.01)
        delete_rows(datadir.database, shop.id)
    finally:
        over.set()
        writer.join()
    assert Moving in ended and set(ended) <= {Moving, NotFound}


def test_two_versions_do_not_exchange_rows(db, datadir, there):
    with open_database(there.database) as other, write_transaction(other):
        write(other, "delete from _sqlite_migrations where name like 'm037%'")
    with (
        pytest.raises(Refused, match="different versions"),
        beside(there.database, datadir.database),
    ):
        pass
