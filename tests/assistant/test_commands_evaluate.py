"""Cases as typed: what counts as right, and how sure the share is."""

import sqlite3

import pytest

from storage.errors import BadInput
from tests.assistant.command_line import run_verb, write_rows


def evaluate(app, path, **options):
    return run_verb(app, "evaluate", workspace="default", file=str(path), **options)[0]


def test_score_per_check_and_over_all(app, tmp_path):
    says_something = {"type": "regex", "pattern": "."}
    path = write_rows(
        tmp_path / "cases.jsonl",
        {"question": "A", "expected": "x", "check": says_something},
        {"question": "B", "expected": "x", "check": says_something},
        {"question": "C", "expected": "never said by a random model"},
    )
    exact, regex, everything = evaluate(app, path)
    assert (exact["check"], exact["right"], exact["cases"]) == ("exact", 0, 1)
    assert exact["wrong"][0]["question"] == "C"
    assert (regex["right"], regex["cases"], regex["score"]) == (2, 2, 1.0)
    assert (everything["check"], everything["right"]) == ("all", 2)
    assert everything["low"] < 2 / 3 < everything["high"]
    with app.db() as db:  # judging is no conversation
        assert db["conversations"].count == 0


def test_corrections_do_not_answer_for_the_model(app, tmp_path):
    row = {"question": "A", "answer": "no", "correction": "yes indeed"}
    path = write_rows(tmp_path / "rows.jsonl", row)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    cases = write_rows(tmp_path / "cases.jsonl", {"question": "A", "expected": "yes indeed"})
    assert evaluate(app, cases)[0]["right"] == 0


def test_database_of_a_check_lies_beside_the_file(app, tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("create table t as select 1 as a")
    check = {"type": "sql", "database": "shop.sqlite"}
    case = {"question": "A", "expected": "select a from t", "check": check}
    path = write_rows(tmp_path / "cases.jsonl", case)
    assert evaluate(app, path)[0]["check"] == "sql"


@pytest.mark.parametrize(
    ("case", "named"),
    [
        ({"question": "A"}, "expected"),
        ({"expected": "x"}, "question"),
        ({"question": "A", "expected": "{", "check": {"type": "json"}}, "JSON"),
        ({"question": "A", "expected": "x", "check": {"type": "taste"}}, "taste"),
        ({"question": "A", "expected": "x", "check": "exact"}, "object"),
        ({"question": "A", "expected": "b", "check": {"type": "regex", "pattern": "a"}}, "own"),
    ],
)
def test_case_that_cannot_be_judged(app, tmp_path, case, named):
    path = write_rows(tmp_path / "cases.jsonl", {"question": "Q", "expected": "x"}, case)
    with pytest.raises(BadInput, match=f"line 2.*{named}"):
        evaluate(app, path)
