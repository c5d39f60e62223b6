"""Every opponent is asked every case, the same adapter once."""

from dataclasses import replace

import pytest

from tuning.evaluate import Case, as_asked, count_answers, evaluate, tally


def case(number, expected="yes", slice="new wordings"):
    message = {"role": "user", "content": f"question {number}"}
    return Case(f"c{number}", "g", slice, (message,), (number,), expected, {"type": "exact"})


CASES = [case(1), case(2), case(3, "Paris", "sentinel")]


def test_answers_are_judged_row_by_row():
    def answer(cases, adapter_id):
        return [one.expected if adapter_id == 7 else "no" for one in cases]

    found = evaluate(CASES, answer, {"candidate": 7, "serving": None})
    assert [(one.row, one.case_id, one.right) for one in found] == [
        ("candidate", "c1", True),
        ("candidate", "c2", True),
        ("candidate", "c3", True),
        ("serving", "c1", False),
        ("serving", "c2", False),
        ("serving", "c3", False),
    ]
    assert tally(found) == {
        "candidate": {
            "new wordings": {"right": 2, "total": 2},
            "sentinel": {"right": 1, "total": 1},
        },
        "serving": {
            "new wordings": {"right": 0, "total": 2},
            "sentinel": {"right": 0, "total": 1},
        },
    }


def test_rows_with_one_adapter_are_asked_once():
    asked = []

    def answer(cases, adapter_id):
        asked.append(adapter_id)
        return ["x"] * len(cases)

    found = evaluate(CASES, answer, {"candidate": 1, "serving": None, "base": None})
    assert asked == [1, None]
    assert len(found) == 9


def test_an_answer_too_few_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        evaluate(CASES, lambda cases, adapter_id: ["x"], {"candidate": 1})


def test_a_cancelled_evaluation_stops_between_adapters():
    asked = []

    def answer(cases, adapter_id):
        asked.append(adapter_id)
        return ["x"] * len(cases)

    found = evaluate(
        CASES, answer, {"candidate": 1, "serving": 2}, cancelled=lambda: len(asked) == 1
    )
    assert asked == [1]
    assert {one.row for one in found} == {"candidate"}


def test_each_row_gets_its_own_prompt_and_equal_ones_are_answered_once():
    shown = [
        replace(case(1), few_shot_ids=(9, 1), bare_ids=(8, 1)),
        replace(case(2), few_shot_ids=(2,)),
        case(3, slice="sentinel"),
    ]
    asked = []

    def answer(cases, adapter_id):
        asked.append((adapter_id, [one.prompt_ids for one in cases]))
        return [str(one.prompt_ids) for one in cases]

    rows = {"candidate": 7, "serving": None, "base": None, "few_shot": None, "base_alone": None}
    found = evaluate(shown, answer, rows)
    assert asked == [
        (7, [(1,), (2,), (3,)]),
        (None, [(1,), (2,), (3,)]),
        (None, [(9, 1)]),
        (None, [(8, 1)]),
    ]
    assert count_answers(shown, rows) == 8
    by_row = {}
    for one in found:
        by_row.setdefault(one.row, []).append((one.case_id, one.answer))
    assert by_row["few_shot"] == [("c1", "(9, 1)"), ("c2", "(2,)")]
    assert by_row["base_alone"] == [("c1", "(8, 1)")]
    assert by_row["serving"] == by_row["base"]


def test_the_same_prompt_is_asked_again_where_other_approved_answers_are_weighed():
    shown = [
        replace(case(1), bare_ids=(1,), approved=(("a", 0.9), ("b", 0.8))),
        replace(case(2), approved=(("a", 0.9),)),
    ]
    asked = []

    def answer(cases, adapter_id):
        asked.append([(one.prompt_ids, one.approved) for one in cases])
        return ["" for _ in cases]

    rows = {"candidate": 7, "serving": 7, "candidate_alone": 7}
    evaluate(shown, answer, rows)
    assert asked == [[((1,), shown[0].approved), ((2,), shown[1].approved)], [((1,), ())]]
    assert count_answers(shown, rows) == 3


def test_a_general_question_is_asked_for_itself_though_the_round_has_the_same():
    twice = [case(1), replace(case(1), id="g", slice="sentinel")]
    asked = []

    def answer(cases, adapter_id):
        asked.extend(one.slice for one in cases)
        return ["" for _ in cases]

    evaluate(twice, answer, {"base": None})
    assert asked == ["new wordings", "sentinel"]


def test_a_row_without_prompts_of_its_own_has_no_cases():
    assert as_asked(CASES, "few_shot") == []
    assert as_asked(CASES, "candidate_alone") == []
    assert as_asked(CASES, "candidate") == CASES
