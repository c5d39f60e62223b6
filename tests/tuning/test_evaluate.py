"""Every opponent is asked every case, the same adapter once."""

import pytest

from tuning.evaluate import Case, evaluate, tally


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
