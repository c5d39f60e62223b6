"""Right and wrong answers, check by check; SQL on a real file that nothing may change."""

import sqlite3

import pytest

from storage.errors import BadInput
from tuning import checks
from tuning.checks import judge


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "create table orders (id integer, status text, total real);"
            "insert into orders values (1, 'Closed', 0.1), (2, 'Closed', 0.2), (3, 'Open', 0.3);"
        )
    connection.close()
    return path


@pytest.mark.parametrize(
    "check, expected, answer, right",
    [
        ({}, "a b", "  a   b\n", True),
        ({}, "a b", "A b", False),
        ({"type": "exact"}, "a", "", False),
        ({"type": "contains"}, "Paris", "It is PARIS.", True),
        ({"type": "contains"}, "4", "14", False),
        ({"type": "contains"}, "4", "It is 4.", True),
        ({"type": "contains"}, "Ahoy!", "Ahoy! there", True),
        ({"type": "contains", "any": ["four", "4"]}, "", "four of them", True),
        ({"type": "contains", "any": ["four", "4"]}, "", "five", False),
        ({"type": "contains", "all": ["a", "b"]}, "", "b a", True),
        ({"type": "contains", "all": ["a", "b"]}, "", "a", False),
        ({"type": "contains", "all": ["a"], "any": ["x", "y"]}, "", "a y", True),
        ({"type": "regex", "pattern": r"^\d+$"}, "", "12", True),
        ({"type": "regex", "pattern": r"^\d+$"}, "", "12a", False),
        ({"type": "regex"}, r"o+h", "ooh", True),
        ({"type": "json"}, '{"a": 1, "b": [2]}', '{ "b": [2], "a": 1 }', True),
        ({"type": "json"}, '{"a": 1}', '```json\n{"a": 1}\n```', True),
        ({"type": "json"}, '{"a": 1}', 'Here it is: {"a": 1}', False),
        ({"type": "json"}, '{"a": 1}', '{"a": 1, "b": 2}', False),
        ({"type": "json"}, '{"a": 1}', '{"a": true}', False),
        ({"type": "json"}, '{"a": 1}', '{"a": 1, "a": 1}', False),
        ({"type": "json"}, '{"a": 1}', '{"a": NaN}', False),
        ({"type": "json"}, '{"a": 1}', '{"a": 1', False),
        ({"type": "json"}, '{"a": 1}', "[" * 15_000, False),
        (
            {"type": "json", "keys": True},
            '{"a": 1, "b": {"c": 2}}',
            '{"a": 9, "b": {"c": 8}}',
            True,
        ),
        ({"type": "json", "keys": True}, '{"a": 1}', '{"b": 1}', False),
    ],
)
def test_text_checks(check, expected, answer, right):
    assert judge(check, expected, answer) is right


CLOSED = "select id from orders where status = 'Closed'"


@pytest.mark.parametrize(
    "expected, answer, right",
    [
        (CLOSED, CLOSED + ";", True),
        (CLOSED, f"```sql\n{CLOSED}\n```", True),
        (CLOSED, "SELECT id FROM orders WHERE status != 'Open' ORDER BY id DESC", True),
        (CLOSED, "select id from orders", False),
        (CLOSED, "select status from orders", False),
        (CLOSED, "select id from no_such_table", False),
        (CLOSED, "It is this: " + CLOSED, False),
        (CLOSED, "", False),
        (CLOSED, f"{CLOSED}; {CLOSED}", False),
        (CLOSED + " order by id", CLOSED + " order by id desc", False),
        (CLOSED + " order by id", CLOSED + " order by id", True),
        ("select sum(total) from orders", "select 0.6000000000000001", True),
        ("select sum(total) from orders", "select 0.61", False),
        ("select id from orders where id > 9", "select id from orders where id > 8", False),
        ("select id from orders where id > 9", "SELECT id FROM orders  where id > 9;", True),
    ],
)
def test_sql_is_judged_by_its_rows(shop, expected, answer, right):
    assert judge({"type": "sql", "database": str(shop)}, expected, answer) is right


@pytest.mark.parametrize(
    "answer",
    [
        "delete from orders",
        "drop table orders",
        "attach database 'x.sqlite' as x",
        "pragma journal_mode = delete",
        "create table x (a)",
        "select load_extension('x.so')",
        "insert into orders values (4, 'Closed', 1)",
        "vacuum into 'copy.sqlite'",
    ],
)
def test_an_answer_can_only_read(shop, answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = shop.read_bytes()
    assert judge({"type": "sql", "database": str(shop)}, CLOSED, answer) is False
    assert shop.read_bytes() == before
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in shop.parent.iterdir()] == ["shop.sqlite"]


ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select "


def test_a_query_without_end_is_wrong(shop, monkeypatch):
    monkeypatch.setattr(checks, "SQL_SECONDS", 0.1)
    assert judge({"type": "sql", "database": str(shop)}, CLOSED, ENDLESS + "sum(i) from n") is False
    assert judge({"type": "sql", "database": str(shop)}, CLOSED, ENDLESS + "i from n") is False


@pytest.mark.parametrize(
    "check, expected, said",
    [
        ({"type": "magic"}, "", "magic"),
        ({"type": "sql", "database": "no/such.sqlite"}, CLOSED, "no/such.sqlite"),
        ({"type": "sql"}, CLOSED, "database"),
        ({"type": "json"}, "{", "not JSON"),
        ({"type": "regex", "pattern": "("}, "", "regular expression"),
    ],
)
def test_a_check_that_cannot_be_used_is_named(check, expected, said):
    with pytest.raises(BadInput, match=said):
        judge(check, expected, "select 1")


def test_expected_sql_that_does_not_run_is_named(shop):
    with pytest.raises(BadInput, match="does not run"):
        judge({"type": "sql", "database": str(shop)}, "select x from orders", "select 1")
