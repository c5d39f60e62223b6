"""The checks of a workspace made ready: on copies, with their schemas, looked at when typed."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from assistant.declared_checks import (
    checks_as_declared,
    checks_at_hand,
    declared_checks,
    forget_unused_copies,
    on_a_copy,
)
from storage.errors import BadInput
from storage.workspaces import create_workspace, set_workspace


@pytest.fixture
def room(app, workspace, shop):
    """The workspace with a check on the shop and one without a database."""
    checks = [{"type": "sql", "database": str(shop)}, {"type": "json"}]
    with closing(app.db()) as db:
        return set_workspace(db, workspace.name, "checks", json.dumps(checks))


def orders(check):
    with closing(sqlite3.connect(check["database"])) as connection:
        return connection.execute("select count(*) from orders").fetchone()[0]


def add_order(shop):
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("insert into orders values (2)")
        connection.commit()


def test_a_judge_gets_a_copy_as_new_as_the_file(app, room, shop):
    sql, plain = declared_checks(app, room)
    assert plain == {"type": "json"}
    assert Path(sql["database"]).parent == app.datadir.client_databases and orders(sql) == 1
    add_order(shop)
    assert orders(sql) == 1
    assert orders(declared_checks(app, room)[0]) == 2


def test_a_reply_gets_the_last_copy_and_never_waits_for_one(app, room, shop):
    assert checks_at_hand(app, room) == ({"type": "json"},)
    declared_checks(app, room)
    add_order(shop)
    assert orders(checks_at_hand(app, room)[0]) == 1


def test_what_is_typed_is_looked_at_and_its_database_copied(app, shop, tmp_path):
    schema = tmp_path / "answer.json"
    schema.write_text('{"type": "object"}')
    typed = [{"type": "sql", "database": str(shop)}, {"type": "json", "schema": f"@{schema}"}]
    sql, shaped = json.loads(checks_as_declared(app, json.dumps(typed)))
    assert shaped["schema"] == {"type": "object"}
    assert sql["database"] == str(shop), "the settings name the client's own file"
    assert orders(on_a_copy(app, sql)) == 1


@pytest.mark.parametrize("typed", ["sql", "{}", '["sql"]'])
def test_what_is_no_list_of_checks_is_left_to_the_settings(app, typed):
    assert checks_as_declared(app, typed) == typed


@pytest.mark.parametrize(
    ("check", "named"),
    [
        ({"type": "magic"}, "magic"),
        ({"type": "sql", "database": "nowhere.sqlite"}, "nowhere.sqlite"),
        ({"type": "json", "schema": "@nowhere.json"}, "The schema nowhere.json cannot be read"),
        ({"type": "regex", "pattern": "("}, "pattern"),
    ],
)
def test_a_check_that_cannot_be_used_is_named(app, check, named):
    with pytest.raises(BadInput, match=named):
        checks_as_declared(app, json.dumps([check]))


def test_copies_go_with_the_last_check_that_runs_on_them(app, room, shop):
    with closing(app.db()) as db:
        create_workspace(db, "sales")
        set_workspace(db, "sales", "checks", json.dumps(list(room.settings.checks)))
        declared_checks(app, room)
        for name, left in (("default", 1), ("sales", 0)):
            set_workspace(db, name, "checks", "[]")
            forget_unused_copies(app)
            assert len(list(app.datadir.client_databases.glob("*.sqlite"))) == left
