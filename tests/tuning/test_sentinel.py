"""The general questions are what they should be, and what was lost of them is counted in pairs."""

from collections import Counter

import pytest

from tuning.checks import judge
from tuning.sentinel import KINDS, Choice, compare, read_items

ITEMS = read_items()
LEAST = {
    "knowledge": 130,
    "arithmetic": 70,
    "common sense": 80,
    "instruction following": 60,
    "format": 50,
    "refusal": 50,
}


def test_there_are_enough_of_six_kinds_and_60_are_asked():
    counts = Counter(item.kind for item in ITEMS)
    assert len(ITEMS) >= 550
    assert counts.keys() == LEAST.keys() == set(KINDS)
    assert all(counts[kind] >= least for kind, least in LEAST.items()), counts
    assert sum(item.asked for item in ITEMS) == 60


def test_no_id_and_no_question_occurs_twice():
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    questions = [" ".join(item.question.casefold().split()) for item in ITEMS]
    assert [one for one, count in Counter(questions).items() if count > 1] == []


def test_items_are_short_and_their_answers_differ():
    for item in ITEMS:
        answers = (item.expected, *item.wrong)
        assert 2 <= len(answers) <= 4, item
        assert len({" ".join(text.split()) for text in answers}) == len(answers), item
        assert all(text and text == text.strip() for text in (item.question, *answers)), item
        assert len(item.question.split()) <= 20, item
        assert all(len(text.split()) <= 12 for text in answers), item


def test_the_check_of_an_asked_item_tells_right_from_wrong():
    for item in (item for item in ITEMS if item.asked):
        assert judge(item.check, item.expected, item.expected), item
        assert not any(judge(item.check, item.expected, text) for text in item.wrong), item


@pytest.mark.parametrize("sign", ["plus", "minus", "times"])
def test_sums_are_right(sign):
    work = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}[sign]
    sums = [item for item in ITEMS if item.kind == "arithmetic" and f" {sign} " in item.question]
    assert len(sums) >= 8
    for item in sums:
        words = item.expected.rstrip(".").split()
        assert words[1] == sign
        assert work(int(words[0]), int(words[2])) == int(words[4]), item


def test_what_was_lost_counts_what_the_base_has_right_only():
    choices = [
        Choice(name, kind, (1,), ((2,), (3,)))
        for name, kind in [("a", "format"), ("b", "knowledge"), ("c", "knowledge"), ("d", "other")]
    ]
    base = [[-1.0, -2.0], [-1.0, -1.5], [-3.0, -2.0], [-0.5, -1.0]]
    candidate = [[-1.5, -2.0], [-2.0, -1.5], [-9.0, -2.0], [-0.25, -1.0]]
    found = compare(choices, base, candidate)
    assert (found.items, found.base_right, found.lost) == (4, 3, 1)
    assert found.nats_lost == pytest.approx((0.5 + 1.0 - 0.25) / 3, abs=1e-5)
    assert found.lost_ids == ("b",)
    assert list(found.kinds) == ["knowledge", "format", "other"]
    assert (found.kinds["knowledge"].items, found.kinds["knowledge"].base_right) == (2, 1)
    assert found.kinds["other"].nats_lost == -0.25


def test_a_tie_is_not_right():
    choice = Choice("a", "format", (1,), ((2,), (3,)))
    assert compare([choice], [[-1.0, -1.0]], [[-1.0, -2.0]]).base_right == 0


def test_nothing_right_before_means_nothing_to_lose():
    choice = Choice("a", "format", (1,), ((2,), (3,)))
    found = compare([choice], [[-2.0, -1.0]], [[-9.0, -1.0]])
    assert (found.base_right, found.lost, found.nats_lost) == (0, 0, 0.0)


def test_no_number_is_a_loss_that_shows():
    choice = Choice("a", "format", (1,), ((2,), (3,)))
    found = compare([choice], [[-1.0, -2.0]], [[float("nan"), -2.0]])
    assert found.lost == 1 and found.nats_lost != found.nats_lost
