"""The tables of the skills' benchmark, what counts as a miss, and the trial's cut of the cases."""

from dataclasses import replace

import pytest

from tests.benchmarks.bench_skills import (
    ALONE,
    BASE,
    EXAMPLES,
    SKILLS,
    Outcome,
    misses,
    summary,
    table,
    written,
)
from tests.benchmarks.skill import Cases, Item, Reply, draw, mean, share

ROUND = {"pairs": {"train": 8}, "seconds": 90.0}
CASES = Cases((Item("a", "b"),), (Item("c", "d"), Item("e", "f")))


def outcome(base, examples, alone):
    ways = {BASE: base, EXAMPLES: examples, ALONE: alone}
    skill = replace(SKILLS["json"], aims={"valid JSON": 0.99})
    return Outcome(
        skill,
        CASES,
        {
            way: {"valid JSON": share([True, right]), "exact frames": share([right, right])}
            for way, right in ways.items()
        },
        ROUND,
    )


def test_a_skill_that_was_learned_misses_nothing():
    assert misses(outcome(False, False, True)) == []


def test_no_better_than_a_prompt_is_a_miss():
    assert misses(outcome(False, True, True)) == [
        "missed: json, exact frames 2 of 2, base with examples 2 of 2"
    ]
    assert misses(outcome(False, False, False))[0] == "missed: json, valid JSON 1 of 2, aim 99%"


def test_the_tables_can_go_into_a_readme():
    found = outcome(False, False, True)
    assert table(found).splitlines() == [
        "| | valid JSON | exact frames |",
        "|---|---|---|",
        "| base | 1 of 2 | 0 of 2 |",
        "| base with examples | 1 of 2 | 0 of 2 |",
        "| ours alone | 2 of 2 | 2 of 2 |",
    ]
    assert summary([found]).splitlines()[2:] == [
        "| json | 8 | 2 | valid JSON | 1 of 2 | 1 of 2 | 2 of 2 | 1.5 |",
        "| json | 8 | 2 | exact frames | 0 of 2 | 0 of 2 | 2 of 2 | 1.5 |",
    ]


def test_an_answer_is_written_from_what_was_shown_and_left_out_without_it():
    facts = ("The sauna costs 6 euros.",)
    cases = Cases((Item("a", facts=facts), Item("b", facts=facts)), (Item("c", facts=facts),))
    shown = [["Sauna\nThe sauna costs 6 euros."], [], ["x", "Sauna costs: the sauna, 6 euros"]]
    found = written(SKILLS["bullets"], cases, shown)
    assert [(item.question, item.answer) for item in (*found.taught, *found.asked)] == [
        ("a", "- The sauna costs 6 euros. [1]"),
        ("c", "- The sauna costs 6 euros. [2]"),
    ]


def test_a_draw_takes_each_text_once_in_an_order_of_its_own():
    rows = [{"text": f"Text  {number}"} for number in range(20)]
    found = draw([*rows, {"text": "text 3"}], "text")
    assert len(found) == 20 and found == draw([*reversed(rows), {"text": "text 3"}], "text")
    assert [row["text"] for row in found] != sorted(row["text"] for row in rows)


def test_shares_and_means():
    assert share([True, False, True]).text == "2 of 3" and share([]).value == 0.0
    assert mean([0.25, 0.5]).text == "0.375" and mean([]).value == 0.0


@pytest.mark.parametrize("name", list(SKILLS))
def test_every_skill_is_judged_by_something_it_measures(name):
    skill = SKILLS[name]
    item = Item("a", '{"intent": "x", "slots": {}}', ("a",))
    found = skill.measure(Cases((item,) * 9, (item,)), [Reply("b")])
    assert {skill.judged_by, *skill.aims} <= set(found)
    assert found[skill.judged_by].value < 1.0
