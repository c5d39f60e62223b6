"""Values of a real SQLite file: what may be taught of them."""

import sqlite3
from contextlib import closing

import pytest

from tuning.client_values import ClientValues
from tuning.query_sense import select_of


@pytest.fixture
def database(tmp_path):
    """Six people of two cities with a mail address each."""
    path = tmp_path / "staff.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table staff (name text, city text, age integer, code)")
        connection.executemany(
            "insert into staff values (?, ?, ?, ?)",
            [(f"{n}@x.org", ("Bern", "Graz")[n % 2], 30 + n, n or "zero") for n in range(6)],
        )
        connection.execute("insert into staff values ('7@x.org', 'Rome', null, 7)")
        connection.commit()
    return path


TREE = select_of("SELECT T1.name FROM staff AS T1")


def test_a_text_of_few_rows_is_not_given_out(database):
    values = ClientValues(database)
    assert values.of(TREE, "CITY", "T1") == ["Bern", "Graz"]
    assert values.of(TREE, "name") == [] and values.of(TREE, "nosuch") == []
    assert values.of(TREE, "age") == [30, 31, 32, 33, 34, 35]


def test_what_a_taught_query_names_is_given_out(database):
    values = ClientValues(database, {"Rome", "1@x.org", "it's"})
    assert values.of(TREE, "city") == ["Bern", "Graz", "Rome"]
    assert values.of(TREE, "name") == ["1@x.org"]


def test_numbers_are_told_from_texts(database):
    values = ClientValues(database)
    assert values.are_numbers(TREE, ["T1", ".", "age"])
    assert not values.are_numbers(TREE, ["code"]) and not values.are_numbers(TREE, ["*"])
    assert values.is_column("AGE") and not values.is_column("Rome")


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("SELECT name FROM staff WHERE age > 34", True),
        ("SELECT name FROM staff WHERE age > 99", False),
        ("SELECT count(*) FROM staff WHERE age > 99", False),
        ("SELECT age FROM staff WHERE city = 'Rome'", False),
        ("SELECT nosuch FROM staff", False),
    ],
)
def test_what_a_query_finds(database, query, finds):
    assert ClientValues(database).found_by(query) is finds
