"""The demo's tables count right."""

import sqlite3

import pytest

from assistant.scoreboard import by_need, judge_all, kept, right


@pytest.fixture
def database(tmp_path):
    connection = sqlite3.connect(tmp_path / "shop.sqlite")
    connection.executescript("create table t (n); insert into t values (1), (2)")
    connection.close()
    return tmp_path / "shop.sqlite"


def case(question, group, kind, expected):
    return {"question": question, "group": group, "check": {"type": kind}, "expected": expected}


CASES = [
    case("Which are closed?", "closed", "sql", "select n from t"),
    case("Which are finished?", "closed", "sql", "select n from t"),
    case("A ticket that is done?", "ticket", "json", '{"a": 1}'),
]


def test_answers_are_judged_by_running_and_parsing(database):
    before = ["select n from orders", "I do not know", "a: 1"]
    after = ["select n from t order by n desc", "select 1", '{ "a": 1 }']
    judged = judge_all(CASES, [before, after], database)
    assert [item.right for item in judged] == [(False, True), (False, False), (False, True)]
    assert [right(judged, way) for way in (0, 1)] == [0, 2]


def test_the_table_has_a_line_per_need_and_the_untaught_words_apart(database):
    good = [case["expected"] for case in CASES]
    judged = judge_all(CASES, [["", "", ""], good], database)
    lines = [line.split() for line in by_need(judged, ("base", "adapter")).splitlines()]
    assert lines[0] == ["need", "cases", "base", "adapter"]
    assert ["closed", "2", "0", "2"] in lines and ["ticket", "1", "0", "1"] in lines
    assert ["all", "3", "0", "3"] in lines and lines[-1] == ["0%", "100%"]
    # "done" in the ticket is no word for the status of an order
    assert [line[-3:] for line in lines if line[:2] == ["of", "these,"]] == [["1", "0", "1"]]


def test_what_was_wrong_before_cannot_be_lost(database):
    good = [case["expected"] for case in CASES]
    judged = judge_all(CASES, [[good[0], "", good[2]], ["", good[1], good[2]]], database)
    assert kept(judged) == (1, 2)
