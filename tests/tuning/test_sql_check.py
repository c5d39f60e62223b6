"""One SELECT that runs on a real file, or a sentence that says why it is not."""

import sqlite3

import pytest

from tuning import sql_check
from tuning.sql_check import (
    QueryFailed,
    compiles,
    looks_like_sql,
    parsed,
    query_fault,
    run_query,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "create table orders (id integer, status text, total real);"
            "create table customers (id integer, name text);"
            "insert into orders values (1, 'Closed', 0.1), (2, 'Open', 0.2);"
        )
    connection.close()
    return path


@pytest.mark.parametrize(
    "query",
    [
        "select id from orders where status = 'Closed'",
        "SELECT o.id FROM orders AS o JOIN customers c ON c.id = o.id;",
        "with late as (select id as number from orders) select number from late",
        "select count(*) as n from orders group by status having n > 1 order by n",
        "select id from orders union select id from customers",
        'select id from orders where status = "Closed"',
        "select date('now', '-1 month'), iif(total > 1, 'much', 'little') from orders",
        "-- the open ones\nselect rowid from orders where status = 'Open'",
        "select id from orders where id > 99",
    ],
)
def test_a_query_that_runs_has_no_fault(shop, query):
    assert looks_like_sql(query)
    assert query_fault(shop, query) is None
    assert compiles(shop, query)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1; select 2", "2 statements"),
        ("select 1; drop table orders", "2 statements"),
        ("delete from orders", "DELETE"),
        ("update orders set total = 0", "UPDATE"),
        ("insert into orders values (1, '', 0)", "INSERT"),
        ("drop table orders", "DROP"),
        ("create table x (a)", "CREATE"),
        ("pragma journal_mode = wal", "PRAGMA"),
        ("explain select 1", "EXPLAIN"),
        ("attach 'x.sqlite' as x", "ATTACH"),
        ("select id from order_list", "no table 'order_list'"),
        ("select id from order", "no table 'order' (is 'orders' meant?)"),
        ("select id from order_s", "no table 'order_s' (is 'orders' meant?)"),
        ("select id from a join b", "no table 'a', there is no table 'b'"),
        ("select state, sum(amount) from orders", "no column 'state' (is 'status' meant?), there"),
        ("select o.name from orders o", "no column 'name'"),
        ("select max(id, ) from orders", "syntax error"),
        ("select nosuch(id) from orders", "no such function"),
        ("select load_extension('x')", "database says"),
        ("{:}", "database says"),  # which sqlglot itself stumbles over
        ("select {:1} from orders", "database says"),
    ],
)
def test_a_query_that_does_not_run_is_explained(shop, query, said):
    before = shop.read_bytes()
    assert said in (query_fault(shop, query) or "")
    assert said == "database says" or not compiles(shop, query)
    assert shop.read_bytes() == before


ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select "


def test_what_compiles_is_not_run(shop):
    assert compiles(shop, ENDLESS + "sum(i) from n")


def test_time_and_rows_have_a_limit(shop, monkeypatch):
    monkeypatch.setattr(sql_check, "SQL_SECONDS", 0.1)
    assert "longer than 0.1 seconds" in (query_fault(shop, ENDLESS + "sum(i) from n") or "")
    monkeypatch.setattr(sql_check, "SQL_SECONDS", 5)
    monkeypatch.setattr(sql_check, "SQL_ROWS", 10)
    assert "more than 10 rows" in (query_fault(shop, ENDLESS + "i from n") or "")
    with pytest.raises(QueryFailed):
        run_query(shop, ENDLESS + "i from n")


@pytest.mark.parametrize(
    "text",
    [
        "With pleasure!",
        "Update your profile.",
        "Delete the app.",
        "Drop me a line.",
        "",
        "Explain.",
    ],
)
def test_prose_is_no_sql(text):
    assert not looks_like_sql(text)


@pytest.mark.parametrize("text", ["DELETE FROM x", "update a set b = 1", "(select 1)", "PRAGMA a"])
def test_statements_that_write_are_sql_too(text):
    assert looks_like_sql(text)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"select {'(' * 300}1", "database says"),
        (f"select {'abs(' * 300}1{')' * 300}", "database says"),
        (f"select {'not ' * 4000}1", "database says"),
        ("select '\ud800'", "database says"),
        ("select '\0'", "database says"),
        ("select 1" + " " * 30_000, "longer than 20,000 characters"),
    ],
)
def test_rubbish_and_depth_are_explained_like_any_other_fault(shop, query, said):
    assert looks_like_sql(query) and said in (query_fault(shop, query) or "")
    assert parsed(f"select {'(' * 300}1") == []


def test_long_white_space_is_looked_through_once():
    assert not looks_like_sql("--\n" * 2000 + " \n" * 200_000 + "please")


def test_values_and_rows_have_a_limit_of_bytes(shop):
    with pytest.raises(QueryFailed, match="a value in it has more than 1,000,000 bytes"):
        run_query(shop, "select length(hex(zeroblob(1000000)))")
    many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200) select "
    with pytest.raises(QueryFailed, match="its rows have more than 20,000,000 bytes"):
        run_query(shop, many + "hex(zeroblob(400000)) from n")
    assert len(run_query(shop, many + "hex(zeroblob(40)) from n")) == 200


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "x.sqlite").write_text("not a database " * 100)
    assert "not a database" in (query_fault(tmp_path / "x.sqlite", "select a from b") or "")
