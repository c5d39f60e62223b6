"""Right and wrong answers, check by check; SQL on a real file that nothing may change."""

import sqlite3

import pytest

from storage.errors import BadInput
from tuning import patterns, sql_check
from tuning.checks import check_for, declared, fault, judge, usable_check


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
    monkeypatch.setattr(sql_check, "SQL_SECONDS", 0.1)
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


SQL, JSON = {"type": "sql", "database": "x"}, {"type": "json"}


@pytest.mark.parametrize(
    ("expected", "checks", "chosen"),
    [
        ("SELECT 1", [SQL, JSON], SQL),
        ("with a as (select 1) select * from a", [JSON, SQL], SQL),
        ("```sql\nselect 1\n```", [JSON, SQL], SQL),
        ("DROP TABLE orders", [JSON, SQL], SQL),
        ("With pleasure!", [SQL, JSON], {"type": "exact"}),
        ('{"a": 1}', [SQL, JSON], JSON),
        ("Ahoy!", [SQL, JSON], {"type": "exact"}),
        ("Ahoy!", [{"type": "contains", "match": "Ahoy"}], {"type": "contains", "match": "Ahoy"}),
    ],
)
def test_the_check_that_fits_the_expected_text_judges(expected, checks, chosen):
    assert check_for(expected, checks) == chosen


PRICED = {"type": "json", "schema": {"properties": {"price": {"type": "number"}}}}


@pytest.mark.parametrize(
    ("check", "text", "said"),
    [
        ({}, "anything", None),
        ({"type": "json"}, '{"a": 1}', None),
        ({"type": "json"}, '{"a": 1', "not JSON"),
        (PRICED, '{"price": 1}', None),
        (PRICED, '{"price": "1"}', "$.price"),
        ({"type": "regex", "pattern": "^Ahoy"}, "Ahoy there", None),
        ({"type": "regex", "pattern": "^Ahoy"}, "Hello", "'^Ahoy' is not found"),
        ({"type": "contains", "all": ["tern"]}, "The tern flies.", None),
        ({"type": "contains", "any": ["tern", "tiller"]}, "Hello", "'tern', 'tiller'"),
        ({"type": "contains"}, "Hello", None),
    ],
)
def test_a_text_is_told_why_it_fails_its_own_check(check, text, said):
    found = fault(check, text)
    assert found is None if said is None else said in found


def test_sql_is_told_what_is_not_there(shop):
    check = {"type": "sql", "database": str(shop)}
    assert fault(check, f"```sql\n{CLOSED}\n```") is None
    assert "no table 'order'" in fault(check, "select id from order")
    assert "DELETE" in fault(check, "delete from orders")


def test_what_was_approved_despite_its_check_is_judged_as_text(shop):
    checks = [{"type": "sql", "database": str(shop)}]
    assert usable_check(CLOSED, checks) == checks[0]
    assert usable_check("select a from b", checks) == {"type": "exact"}


def test_an_answer_must_fit_the_schema_and_be_equal():
    assert judge(PRICED, '{"price": 1}', '{"price": 1}')
    assert not judge(PRICED, '{"price": 1}', '{"price": 2}')
    assert not judge(PRICED, '{"price": "x"}', '{"price": "x"}')


def test_a_pattern_that_explodes_finds_nothing(monkeypatch):
    monkeypatch.setattr(patterns, "SEARCH_SECONDS", 0.05)
    assert not judge({"type": "regex", "pattern": "(a+)+$"}, "", "a" * 5000 + "b")


def test_a_declared_check_names_its_database_wherever_one_is(shop, monkeypatch):
    monkeypatch.chdir(shop.parent)
    assert declared({"type": "sql", "database": shop.name})["database"] == str(shop)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"type": "magic"}, "magic"),
        ({"type": "sql"}, "not a file"),
        ({"type": "sql", "database": "no/such.sqlite"}, "no/such.sqlite"),
        ({"type": "regex"}, "pattern None is no text"),
        ({"type": "regex", "pattern": "("}, "no regular expression"),
        ({"type": "json", "schema": {"type": "thing"}}, "no JSON Schema"),
        ({"type": "contains", "all": "tern"}, "'all'"),
        ({"type": "contains", "any": []}, "'any'"),
    ],
)
def test_a_check_that_cannot_be_declared_is_named(check, said):
    with pytest.raises(BadInput, match=said):
        declared(check)
