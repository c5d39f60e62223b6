"""New queries out of taught ones: they run, they find something, and none is a known one."""

import sqlite3
from contextlib import closing

import pytest

from tuning import recombine
from tuning.recombine import literals, recombined, same_query, written_alike
from tuning.sql_check import run_query

TAUGHT = [
    "SELECT name , city FROM staff WHERE city = 'Lyon'",
    "SELECT name , salary FROM staff WHERE salary > 3000 ORDER BY salary DESC",
    "SELECT MAX(salary) , city FROM staff GROUP BY city",
    "SELECT T1.name , T2.title FROM staff AS T1 JOIN posts AS T2 ON T1.post = T2.id",
]
CITIES = ("Lyon", "Bern", "Graz")


@pytest.fixture
def database(tmp_path):
    """Nine people in three cities, and their posts."""
    path = tmp_path / "staff.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table staff (name text, city text, salary integer, post)")
        connection.execute("create table posts (id integer, title text)")
        connection.executemany(
            "insert into staff values (?, ?, ?, ?)",
            [(f"P{number}", CITIES[number % 3], 2000 + 300 * number, 1) for number in range(9)],
        )
        connection.execute("insert into posts values (1, 'clerk'), (2, null)")
        connection.commit()
    return path


def test_each_is_new_and_finds_something(database):
    found = recombined(TAUGHT, database, seed=7)
    assert 8 <= len(found) <= len(TAUGHT) * recombine.MOST_A_PAIR
    assert len({same_query(one) for one in found}) == len(found)
    assert not {same_query(one) for one in found} & {same_query(one) for one in TAUGHT}
    assert all(run_query(database, one) for one in found)


def test_the_same_arguments_give_the_same_queries(database):
    assert recombined(TAUGHT, database, seed=7) == recombined(TAUGHT, database, seed=7)
    assert recombined(TAUGHT, database, seed=7) != recombined(TAUGHT, database, seed=8)


def test_other_values_are_those_of_the_column(database):
    found = recombined(TAUGHT, database, seed=7)
    texts = {one for query in found for one in literals(query) if not one.isdigit()}
    assert texts & {"Bern", "Graz"} and texts <= set(CITIES)


def test_what_judges_is_never_made(database):
    found = recombined(TAUGHT, database, seed=7)
    again = recombined(TAUGHT, database, seed=7, avoid=[f" {found[0].lower()} ;"])
    assert found[0] not in again and set(found) & set(again)


def test_what_is_no_query_is_passed_over(database):
    odd = ["SELECT FROM WHERE", "I do not know.", "DELETE FROM staff", "```sql\nSELECT 1\n```"]
    found = recombined([*TAUGHT, *odd], database, seed=7)
    assert found and all(one.startswith("SELECT") for one in found)
    assert recombined(odd[:3], database, seed=7) == []


def test_it_stops_when_told_and_at_the_most(database):
    assert recombined(TAUGHT, database, seed=7, stop=lambda: True) == []
    assert len(recombined(TAUGHT, database, seed=7, most=3)) == 3


def test_what_gives_nothing_but_null_is_left_out(database):
    alone = ["SELECT title FROM posts WHERE id = 1"]
    found = recombined(alone, database, seed=7)
    assert "SELECT title FROM posts" in found
    assert "SELECT title FROM posts WHERE id = 2" not in found


def test_commas_and_ends_are_those_of_most():
    query = "SELECT a, b FROM t WHERE c = 'x, y' AND d = \"z, z\""
    spaced = "SELECT a , b FROM t WHERE c = 'x, y' AND d = \"z, z\""
    assert written_alike(query, TAUGHT) == spaced
    assert written_alike(query, ["SELECT a, b FROM t;"] * 2 + TAUGHT[:1]) == f"{query};"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT T1.a FROM t AS T1 WHERE T1.b LIKE '%Wood%' LIMIT 3", ["Wood", "3"]),
        ('SELECT "t"."a b" FROM "t" WHERE c = "Rome"', ["Rome"]),
        ("SELECT a FROM t WHERE b LIKE '%'", []),
        ("no query at all (", []),
    ],
)
def test_the_values_of_a_query(query, expected):
    assert sorted(literals(query)) == sorted(expected)
