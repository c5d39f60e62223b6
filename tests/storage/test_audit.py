import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from storage.audit import audit, audit_chain, audited, list_audit
from storage.database import open_database, write, write_transaction
from storage.errors import BadInput


def test_who_did_what_newest_first(db):
    audit(db, "user:1", "adapter promoted", "adapter:7", {"reason": "because\0"})
    audit(db, "user:2", "feedback approved", "feedback:3")
    newest, before = list_audit(db, 2)
    assert (newest.actor, newest.action, newest.subject) == (
        *("user:2", "feedback approved", "feedback:3"),
    )
    assert before.detail == {"reason": "because"}
    assert newest.at >= before.at


def test_acts_are_found_by_who_what_and_before(db):
    for number in (1, 2, 1):
        audit(db, f"user:{number}", "did", f"thing:{number}")
    audit(db, "user:1", "undid", "thing:1")
    fourth, third, second, first, *_ = [one.id for one in list_audit(db)]
    assert [one.id for one in list_audit(db, actor="user:1")] == [fourth, third, first]
    found = list_audit(db, actor="user:1", action="did", before=third)
    assert [one.id for one in found] == [first]
    assert [one.id for one in list_audit(db, subject="thing:2")] == [second]
    assert list_audit(db, actor="' or 1") == []
    assert audited(db, "actor") == ["system", "user:1", "user:2"]
    assert audited(db, "action", most=1) == ["did"]


@pytest.mark.parametrize("filters", [{"actor": "a"}, {"action": "a"}, {"subject": "a"}, {}])
def test_a_page_of_the_audit_is_read_from_an_index(db, filters):
    asked = []
    db.conn.set_trace_callback(asked.append)
    list_audit(db, **filters)
    (plan,) = db.conn.execute(f"explain query plan {asked[0]}").fetchall()
    assert "USING INDEX audit_" in plan[3] or not filters
    assert "TEMP B-TREE" not in plan[3]


@pytest.mark.parametrize("sql", ["update audit set actor = 'nobody'", "delete from audit"])
def test_it_only_grows(db, sql):
    audit(db, "user:1", "did", "this")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), write_transaction(db):
        write(db, sql)
    assert list_audit(db)[0].actor == "user:1"


def test_a_change_from_outside_shows(db):
    for number in range(4):
        audit(db, "user:1", "did", f"thing:{number}")
    assert audit_chain(db).kept
    third = list_audit(db)[1].id
    db.execute("drop trigger audit_no_update")
    with write_transaction(db):
        write(db, "update audit set actor = 'user:9' where id = ?", third)
    chain = audit_chain(db)
    assert chain.altered == third and not chain.kept


def test_a_row_taken_out_shows(db):
    for number in range(4):
        audit(db, "user:1", "did", f"thing:{number}")
    last, third = (entry.id for entry in list_audit(db, 2))
    db.execute("drop trigger audit_no_delete")
    with write_transaction(db):
        write(db, "delete from audit where id = ?", third)
    assert audit_chain(db).altered == last


def test_a_head_noted_elsewhere_shows_what_the_file_alone_cannot(db):
    audit(db, "user:1", "did", "this")
    noted = audit_chain(db)
    audit(db, "user:2", "did", "that")
    newest, second = (entry.id for entry in list_audit(db, 2))
    chain = audit_chain(db, f" {noted.head.upper()}\n")
    assert chain.noted == second and chain.entries == noted.entries + 1
    assert audit_chain(db, chain.head).noted == newest
    db.execute("drop trigger audit_no_delete")
    with write_transaction(db):
        write(db, "delete from audit where id = ?", newest)
    assert audit_chain(db).kept  # the last row is gone, and nothing in the file says so
    chain = audit_chain(db, chain.head)
    assert chain.noted is None and not chain.kept and "no row" in chain.said


@pytest.mark.parametrize("head", ["abc", "g" * 64, "'" * 64])
def test_a_head_that_is_none(db, head):
    with pytest.raises(BadInput, match="64 digits"):
        audit_chain(db, head)


def test_writers_at_once_make_one_chain(db):
    path = db.conn.execute("pragma database_list").fetchone()[2]

    def write_ten(number):
        with closing(open_database(Path(path))) as own:
            for _ in range(10):
                audit(own, f"user:{number}", "did", "this")

    before = audit_chain(db).entries
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_ten, range(8)))
    chain = audit_chain(db)
    assert chain.kept and chain.entries == before + 80


def test_an_act_is_written_with_what_it_records_or_not_at_all(db):
    before = audit_chain(db)
    with pytest.raises(RuntimeError), write_transaction(db):
        audit(db, "user:1", "did", "this")
        raise RuntimeError
    assert audit_chain(db) == before
