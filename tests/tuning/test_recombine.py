"""New queries out of taught ones: they run, they find something, and none is a known one."""

import re
import sqlite3
from contextlib import closing

import pytest

from tuning import recombine
from tuning.query_sense import has_sense, literals, same_query, select_of
from tuning.recombine import recombined
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


LOWER = [
    "select name, city from staff t1 where city != 'Lyon' ;",
    "select name, avg(salary) from staff t1 where city not in ('Graz', 'x') group by name ;",
    "select count(*) from staff t1 where name not like '%1%' ;",
    "select max(salary) from staff t1 where salary < 4000 ;",
    "select name from staff t1 order by salary desc limit 1 ;",
]


def words_of(query):
    return set(re.findall(r"[^\s\w,]+|[a-z]+", re.sub(r"'[^']*'", "", query), re.IGNORECASE))


def test_they_are_written_as_the_taught_ones_are(database):
    found = recombined(LOWER, database, seed=7)
    taught = {word for query in LOWER for word in words_of(query)}
    assert len(found) > 15 and all(one.endswith(" ;") for one in found)
    assert {word for one in found for word in words_of(one)} - taught <= ADDED
    assert {"!=", "not", "count"} <= {word for one in found for word in words_of(one)}


ADDED = {"and", "distinct", "min", "sum", ">"}


ASKED_MOST = [
    "select name, city from staff t1 order by salary desc limit 1 ;",
    "select count(*) from staff t1 where city != 'Lyon' ;",
    "select distinct name, city from staff t1 where city != 'Lyon' ;",
    "select name, city from staff t1 where city != 'Lyon' and salary < 4000 ;",
]


def test_what_is_asked_most_can_come_about(database):
    found = {same_query(one) for seed in range(6) for one in recombined(LOWER, database, seed=seed)}
    assert {same_query(one) for one in ASKED_MOST} <= found


def test_none_is_nonsense(database):
    for one in recombined([*TAUGHT, *LOWER], database, seed=3):
        tree = select_of(one)
        assert tree is not None and has_sense(tree), one


def test_names_of_few_rows_are_not_taught(database):
    taught = ["SELECT salary FROM staff WHERE name = 'P1'", "SELECT city FROM staff"]
    found = [one for seed in range(4) for one in recombined(taught, database, seed=seed)]
    assert found and {text for one in found for text in literals(one)} == {"P1"}


def test_a_text_in_double_quotes_is_a_value_too(database):
    taught = ['SELECT name FROM staff WHERE city = "Lyon"', "SELECT salary FROM staff"]
    found = [one for seed in range(4) for one in recombined(taught, database, seed=seed)]
    assert 'SELECT name FROM staff WHERE city = "Bern"' in found


def test_brackets_without_end_are_passed_over(database):
    deep = f"SELECT {'(' * 300}"
    assert recombined([*TAUGHT, deep], database, seed=7, avoid=[deep])
