"""Who judges: one wording of a need, or whole needs; and it stays so as the data grows."""

from collections import Counter

import pytest

from storage.records import Wording
from tuning.split import MOST_JUDGES, MOST_NEW_NEEDS, NEEDS_NEEDED, split


def wording(number, group, question=None, first=None):
    return Wording(number, group, question or f"question {number}", first or number)


def needs(*sizes):
    """Pairs of needs with so many wordings each, ids counting up."""
    ids = iter(range(1, sum(sizes) + 1))
    return [
        wording(next(ids), f"need {number}")
        for number, size in enumerate(sizes)
        for _ in range(size)
    ]


@pytest.mark.parametrize(
    "size, held_out", [(1, 0), (2, 0), (3, 1), (4, 1), (30, 1)], ids=lambda value: str(value)
)
def test_one_wording_is_held_out_from_the_third_on(size, held_out):
    splits = split(needs(size), salt="a")
    assert Counter(splits.values())["new wordings"] == held_out
    assert len(splits) == size


def test_no_need_is_held_out_whole_below_fifty():
    splits = split(needs(*[4] * (NEEDS_NEEDED - 1)), salt="a")
    assert "new needs" not in splits.values()


def test_at_most_a_tenth_of_the_needs_is_held_out_whole():
    pairs = needs(*[3] * 120)
    splits = split(pairs, salt="a")
    new = {one.group for one in pairs if splits[one.feedback_id] == "new needs"}
    assert 1 <= len(new) <= 12
    for one in pairs:
        assert (splits[one.feedback_id] == "new needs") == (one.group in new)


def test_needs_with_few_wordings_are_never_held_out_whole():
    splits = split(needs(*[2] * 200), salt="a")
    assert set(splits.values()) == {"train"}


@pytest.mark.parametrize("start", [5, 40, 60, 100])
def test_what_judges_goes_on_judging_as_data_grows(start):
    grown = needs(*[5] * 130)
    early = [one for one in grown if int(one.group.split()[1]) < start and one.feedback_id % 5 != 0]
    before, after = split(early, salt="a"), split(grown, salt="a")
    if start >= NEEDS_NEEDED:
        assert "new needs" in before.values()
        for feedback_id, part in before.items():
            if part == "new needs":
                assert after[feedback_id] == "new needs"
    for feedback_id, part in before.items():
        if part == "new wordings":
            assert after[feedback_id] in ("new wordings", "new needs")


def test_a_later_wording_never_takes_the_place_of_the_judge():
    for groups in range(1, 12):
        old = needs(*[3] * groups)
        new = [wording(one.feedback_id + 1000, one.group) for one in old]
        before, after = split(old, salt="x"), split(old + new, salt="x")
        assert {i for i, part in before.items() if part != "train"} == {
            i for i, part in after.items() if part != "train"
        }


def test_order_does_not_matter_and_the_salt_does():
    pairs = needs(*[4] * 30)
    assert split(pairs, salt="a") == split(pairs[::-1], salt="a")
    assert split(pairs, salt="a") != split(pairs, salt="b")


def test_nothing_gives_nothing():
    assert split([], salt="a") == {}


def test_equal_questions_train_together_or_judge_together():
    """The same question after another history, in the same need and in another one."""
    pairs = needs(3, 1)
    judge = next(one for one in pairs if split(pairs, salt="a")[one.feedback_id] != "train")
    again = [
        wording(10, judge.group, judge.question, judge.feedback_id),
        wording(11, "need 1", judge.question, judge.feedback_id),
    ]
    splits = split([*pairs, *again], salt="a")
    assert Counter(splits.values()) == {"new wordings": 3, "train": 3}
    assert splits[10] == splits[11] == splits[judge.feedback_id] == "new wordings"


def test_a_question_said_three_times_is_one_wording():
    pairs = [wording(number, "need 0", "the same", 1) for number in (1, 2, 3)]
    assert set(split(pairs, salt="a").values()) == {"train"}


def test_a_need_of_which_nothing_trains_is_a_new_one():
    pairs = needs(3)
    judge = next(one for one in pairs if split(pairs, salt="a")[one.feedback_id] != "train")
    splits = split([*pairs, wording(9, "alone", judge.question, judge.feedback_id)], salt="a")
    assert splits[9] == "new needs"
    assert splits[judge.feedback_id] == "new wordings"


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_correction_corrected_again_moves_nothing(number):
    """Its pair then has a new id; how old the question is stays."""
    old = needs(5)
    before = split(old, salt="a")
    again = [one._replace(feedback_id=99) if one.feedback_id == number else one for one in old]
    after = split(again, salt="a")
    assert after.get(number, after.get(99)) == before[number]
    assert Counter(after.values()) == Counter(before.values())


def test_a_group_that_is_renamed_moves_nothing():
    old = needs(*[4] * 60)
    new = [one._replace(group=f"renamed {one.group}") for one in old]
    assert split(old, salt="a") == split(new, salt="a")


@pytest.mark.parametrize("count", [MOST_JUDGES, MOST_JUDGES + 700, 3 * MOST_JUDGES])
def test_no_more_judge_than_every_opponent_can_answer(count):
    splits = Counter(split(needs(*[3] * count), salt="a").values())
    assert splits["new needs"] == 3 * min(MOST_NEW_NEEDS, splits["new needs"] // 3)
    judged = count - splits["new needs"] // 3
    assert splits["new wordings"] == min(MOST_JUDGES, judged)
    assert sum(splits.values()) == 3 * count


def test_where_fewer_judge_those_that_do_are_among_those_that_would(monkeypatch):
    grown = needs(*[4] * 40)
    every = split(grown, salt="a")
    monkeypatch.setattr("tuning.split.MOST_JUDGES", 10)
    some, fewer = split(grown, salt="a"), split(grown[:100], salt="a")
    judging = {id for id, part in some.items() if part != "train"}
    assert len(judging) == 10
    assert judging <= {id for id, part in every.items() if part != "train"}
    early = {id for id, part in fewer.items() if part != "train"}
    assert {id for id in judging if id <= 100} <= early, "a taught one came to judge"
