import sqlite3

import pytest

from storage.audit import audit, first_altered_entry, list_audit
from storage.database import write, write_transaction


def test_who_did_what_newest_first(db):
    audit(db, "user:1", "adapter promoted", "adapter:7", {"reason": "because\0"})
    audit(db, "user:2", "feedback approved", "feedback:3")
    newest, before = list_audit(db, 2)
    assert (newest.actor, newest.action, newest.subject) == (
        *("user:2", "feedback approved", "feedback:3"),
    )
    assert before.detail == {"reason": "because"}
    assert newest.at >= before.at


@pytest.mark.parametrize("sql", ["update audit set actor = 'nobody'", "delete from audit"])
def test_it_only_grows(db, sql):
    audit(db, "user:1", "did", "this")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), write_transaction(db):
        write(db, sql)
    assert list_audit(db)[0].actor == "user:1"


def test_a_change_from_outside_shows(db):
    for number in range(4):
        audit(db, "user:1", "did", f"thing:{number}")
    assert first_altered_entry(db) is None
    third = list_audit(db)[1].id
    db.execute("drop trigger audit_no_update")
    with write_transaction(db):
        write(db, "update audit set actor = 'user:9' where id = ?", third)
    assert first_altered_entry(db) == third


def test_a_row_taken_out_shows(db):
    for number in range(4):
        audit(db, "user:1", "did", f"thing:{number}")
    last, third = (entry.id for entry in list_audit(db, 2))
    db.execute("drop trigger audit_no_delete")
    with write_transaction(db):
        write(db, "delete from audit where id = ?", third)
    assert first_altered_entry(db) == last
