"""Who judges: one wording of a need, or whole needs; and it stays so as the data grows."""

from collections import Counter

import pytest

from tuning.split import NEEDS_NEEDED, split


def needs(*sizes):
    """Pairs of needs with so many wordings each, ids counting up."""
    ids = iter(range(1, sum(sizes) + 1))
    return [(next(ids), f"need {number}") for number, size in enumerate(sizes) for _ in range(size)]


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
    new = {group for feedback_id, group in pairs if splits[feedback_id] == "new needs"}
    assert 1 <= len(new) <= 12
    for feedback_id, group in pairs:
        assert (splits[feedback_id] == "new needs") == (group in new)


def test_needs_with_few_wordings_are_never_held_out_whole():
    splits = split(needs(*[2] * 200), salt="a")
    assert set(splits.values()) == {"train"}


@pytest.mark.parametrize("start", [5, 40, 60, 100])
def test_what_judges_goes_on_judging_as_data_grows(start):
    grown = needs(*[5] * 130)
    early = [pair for pair in grown if int(pair[1].split()[1]) < start and pair[0] % 5 != 0]
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
        new = [(feedback_id + 1000, group) for feedback_id, group in old]
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
