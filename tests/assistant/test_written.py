"""What a round writes itself: when it does, and what of it is kept."""

from dataclasses import replace

import numpy as np
import pytest

from assistant.lessons import Lesson
from assistant.likeliest import LONGEST
from assistant.written import (
    Task,
    Written,
    counts_of,
    first_line,
    kept_questions,
    kept_wordings,
    note_of,
    task_of,
)
from storage.records import Inputs, Pair
from tuning.config import RoundConfig
from tuning.rows import TrainRow

SQL = [{"type": "sql", "database": "shop.sqlite"}]
CONFIG = RoundConfig()


def lesson(number, question, answer, group=None, **more):
    inputs = Inputs(question, "", 1)
    pair = Pair(number, group or f"need {number}", inputs, answer, None)
    ids = {"prompt_ids": (1,), "completion_ids": (2,) * 5}
    return Lesson(pair, inputs, **{"split": "train", **ids, **more})


NEEDS = [lesson(n, f"How many of kind {n}?", f"SELECT {n}") for n in range(8)]


def test_it_writes_for_exact_answers_of_thin_needs():
    task = task_of(SQL, NEEDS, CONFIG)
    assert (len(task.taught), len(task.thin), task.samples, task.queries) == (8, 8, 48, 40)
    as_json = task_of([{"type": "json"}], [with_answer(one, '{"a": 1}') for one in NEEDS], CONFIG)
    assert (as_json.samples, as_json.queries) == (48, 0)


def with_answer(one, answer):
    return replace(one, pair=replace(one.pair, chosen=answer))


@pytest.mark.parametrize(
    ("checks", "found", "dials"),
    [
        ([], NEEDS, {}),
        ([{"type": "contains"}], NEEDS, {}),
        (SQL, NEEDS[:7], {}),
        (SQL, [*NEEDS[:7], with_answer(NEEDS[7], "Nobody knows.")], {}),
        (SQL, [*NEEDS[:7], replace(NEEDS[7], completion_ids=(2,) * (LONGEST + 1))], {}),
        (SQL, [*NEEDS[:7], replace(NEEDS[7], split="new wordings")], {}),
        (SQL, [*NEEDS[:7], replace(NEEDS[7], kind="preference")], {}),
        (SQL, NEEDS, {"wordings": 0, "recombined_share": 0}),
    ],
)
def test_else_it_writes_nothing(checks, found, dials):
    assert task_of(checks, found, RoundConfig(**dials)) is None


def test_needs_of_three_wordings_need_no_more():
    group = [lesson(20 + n, f"Wording {n}", "SELECT 9", "rich") for n in range(3)]
    task = task_of(SQL, [*NEEDS, *group], CONFIG)
    assert len(task.taught) == 11 and "rich" not in task.thin
    rich = [
        lesson(100 + n * 3 + k, f"Wording {n} {k}", f"SELECT {n}", f"rich {n}")
        for n in range(9)
        for k in range(3)
    ]
    assert task_of(SQL, [*NEEDS, *rich], CONFIG) is None


def test_of_many_pairs_some_are_drawn_evenly(monkeypatch):
    monkeypatch.setattr("assistant.written.MOST_TAUGHT", 4)
    task = task_of(SQL, NEEDS, CONFIG)
    assert list(task.taught) == NEEDS[::2] and len(task.thin) == 4


def test_few_pairs_make_forty_steps_and_many_eight_passes():
    assert Task(tuple(NEEDS), {}, 0, 0).passes(CONFIG) == 40
    assert Task(tuple(NEEDS) * 10, {}, 0, 0).passes(CONFIG) == 8


VECTORS = {
    "Who in New York has more than 10?": (0.4, 0.6),
    "Show every a there is.": (0.6, 0.0),
    "Xyzzy plugh xyzzy.": (0.3, 0.4),
    "Which orders are late?": (1.0, 0.0),
    "Who is in Rome?": (0.0, 1.0),
    "Late orders, please": (0.9, 0.2),
    "Tell me something": (0.5, 0.5),
    "Orders of Rome": (0.71, 0.705),
    "All people in Rome.": (0.1, 0.95),
}


def embed(texts):
    return np.array([VECTORS.get(text, (0, 1)) for text in texts], dtype=np.float32)


LATE = lesson(1, "Which orders are late?", "SELECT * FROM orders WHERE late")
ROME = lesson(2, "Who is in Rome?", "SELECT name FROM people WHERE city = 'Rome'")


def kept(*said, avoid=frozenset()):
    return kept_wordings(said, [LATE, ROME], embed, avoid)


def test_a_near_wording_with_its_names_is_kept_once():
    said = [
        (LATE, "Late orders, please\nand more"),
        (LATE, "late  orders, please"),
        (ROME, "All people in Rome."),
    ]
    assert kept(*said) == {1: ("Late orders, please",), 2: ("All people in Rome.",)}


@pytest.mark.parametrize(
    "said",
    [
        (ROME, "Romans"),  # the name is lost
        (ROME, "Who is in Rome?"),  # taught
        (LATE, "Tell me something"),  # too far
        (LATE, ""),
        (ROME, "x"),
        (ROME, "Rome " * 70),
        (LATE, "Which orders are late?"),
    ],
)
def test_what_says_something_else_or_nothing_new_is_not_kept(said):
    assert kept(said) == {}


def test_a_word_of_sql_is_no_name():
    lives = lesson(3, "People from Rome", "SELECT name FROM people WHERE city = 'Rome' LIMIT 1")
    frame = lesson(4, "People from Rome", '{"from": "Rome"}')
    said = "All people in Rome."
    assert kept_wordings([(lives, said)], [lives], embed, frozenset()) == {3: (said,)}
    assert kept_wordings([(frame, said)], [frame], embed, frozenset()) == {}


def test_what_is_nearer_to_another_answer_or_judges_is_not_kept():
    other = replace(ROME, pair=replace(ROME.pair, chosen="SELECT 2"))
    said = (other, "Orders of Rome")
    assert kept_wordings([said], [LATE, other], embed, frozenset()) == {}
    same = replace(LATE, pair=replace(LATE.pair, chosen="SELECT 2"))
    assert kept_wordings([said], [same, other], embed, frozenset()) == {2: ("Orders of Rome",)}
    assert kept((ROME, "All people in Rome."), avoid={"all people in rome."}) == {}


def test_a_new_question_names_every_value_of_its_query():
    query = "SELECT a FROM t WHERE b > 10 AND c LIKE '%New York%'"
    full = "Who in New York has more than 10?"
    said = [
        (query, "Who in York has more than 10?"),
        (query, "Who in New York has more than 100?"),
        (query, "Who in New York has more than 10 but not 20?"),
        (query, f" {full}\nSELECT"),
        ("SELECT 10", full.upper()),
        ("SELECT a FROM t", "All of it?"),
        ("SELECT a FROM t", "Who judges this one?"),
        ("SELECT a FROM t", "Show every a there is."),
        ("SELECT c FROM t", "Xyzzy plugh xyzzy."),
    ]
    found = kept_questions(said, [LATE, ROME], embed, {"who judges this one?"})
    assert found == [(full, query), ("Show every a there is.", "SELECT a FROM t")]


def test_only_the_first_line_counts():
    assert first_line("\n  Who?  \nMe.") == "Who?"
    assert first_line("") == ""


def test_counts_are_of_what_was_kept():
    assert Written().counts == {}
    assert Written({1: ("a", "b")}).counts == {"written": 2, "recombined": 0}


def test_the_oldest_needs_no_number():
    said = [("SELECT a FROM t ORDER BY b DESC LIMIT 1", "Show every a there is.")]
    assert kept_questions(said, [LATE, ROME], embed, set()) == [(said[0][1], said[0][0])]


def row(id, question, kind, of=None):
    said = ({"role": "user", "content": question},)
    return TrainRow(id, "g", said, (1,), "a", (2,), kind=kind, of=of)


def test_a_bundle_tells_what_was_written():
    rows = [row("1", "Q", "correction"), row("1~0", "W", "variant", "1")]
    rows += [row("1~1", "W", "variant", "1"), row("1~2", "V", "variant", "1")]
    assert counts_of(rows) == {"written": 1, "recombined": 0}
    rows += [row("recombined-0", "N", "recombined")]
    assert note_of(counts_of(rows)) == (
        "The round wrote itself 1 other wordings and 1 new questions.",
    )
    assert counts_of(rows[:2]) == {} and note_of({}) == ()


def test_writing_comes_out_of_the_minutes():
    config = RoundConfig(max_minutes=12)
    assert Written(minutes=2.5).leaves(config).max_minutes == 9.5
    assert Written(minutes=11).leaves(config).max_minutes == 6
