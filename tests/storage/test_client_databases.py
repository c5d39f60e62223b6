"""Copies of clients' files: new when the file changed, whole, and nothing is left beside it."""

import os
import sqlite3
from contextlib import closing

import pytest

from storage.client_databases import copies, forget_copies, fresh_copy, last_copy
from storage.errors import BadInput


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "client" / "shop.sqlite"
    path.parent.mkdir()
    write(path, "create table t as select 1 as a")
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "copies"
    made.mkdir()
    return made


def write(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def values(path):
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("select a from t order by a")]


def test_a_copy_is_made_once_and_again_when_the_file_changes(folder, shop):
    first = fresh_copy(folder, shop)
    made = first.stat().st_ino
    assert values(first) == [1] and first.stat().st_mode & 0o077 == 0
    assert fresh_copy(folder, shop).stat().st_ino == made
    write(shop, "insert into t values (2)")
    assert copies(folder)[0].outdated
    assert values(fresh_copy(folder, shop)) == [1, 2]
    (known,) = copies(folder)
    assert (known.source, known.outdated, known.gone) == (str(shop), False, False)


def test_the_last_copy_is_taken_as_it_is(folder, shop):
    assert last_copy(folder, shop) is None
    made = fresh_copy(folder, shop)
    write(shop, "insert into t values (2)")
    assert last_copy(folder, shop) == made
    assert values(made) == [1]


def test_what_waits_in_the_write_ahead_log_is_copied(folder, shop):
    with closing(sqlite3.connect(shop)) as client:
        client.execute("pragma journal_mode = wal")
        client.execute("insert into t values (2)")
        client.commit()
        assert values(fresh_copy(folder, shop)) == [1, 2]
        client.execute("insert into t values (3)")
        client.commit()
        assert values(fresh_copy(folder, shop)) == [1, 2, 3]


def test_a_file_at_rest_with_a_log_is_copied_without_a_trace(folder, shop):
    write(shop, "pragma journal_mode = wal")
    os.chmod(shop.parent, 0o500)
    try:
        assert values(fresh_copy(folder, shop)) == [1]
    finally:
        os.chmod(shop.parent, 0o700)
    assert [path.name for path in shop.parent.iterdir()] == ["shop.sqlite"]


def test_a_source_that_is_gone_leaves_its_last_copy(folder, shop):
    fresh_copy(folder, shop)
    shop.unlink()
    assert values(fresh_copy(folder, shop)) == [1]
    assert copies(folder)[0].gone


def test_what_cannot_be_copied_is_named_and_leaves_nothing(folder, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no database " * 100)
    with pytest.raises(BadInput, match=r"notes\.txt.*SQLite"):
        fresh_copy(folder, text)
    with pytest.raises(BadInput, match="missing"):
        fresh_copy(folder, tmp_path / "missing.sqlite")
    assert list(folder.iterdir()) == []


def test_copies_that_nobody_wants_are_removed(folder, shop, tmp_path):
    other = tmp_path / "other.sqlite"
    write(other, "create table t as select 5 as a")
    fresh_copy(folder, shop)
    fresh_copy(folder, other)
    forget_copies(folder, keep={str(other)})
    assert [known.source for known in copies(folder)] == [str(other)]
    assert len(list(folder.iterdir())) == 2
