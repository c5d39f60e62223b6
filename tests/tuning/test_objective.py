"""Which objective fits: by what was approved, with a reason, and never on too little."""

import pytest

from storage.errors import BadInput
from tuning.objective import (
    DPO_PAIRS,
    LEAST_OF_A_KIND,
    PAIRS_NEEDED,
    THUMBS_NEEDED,
    Material,
    choose,
)

FEW = LEAST_OF_A_KIND
MANY = THUMBS_NEEDED - LEAST_OF_A_KIND


@pytest.mark.parametrize(
    ("found", "objective", "why"),
    [
        (Material(40, 40, 0, 0), "sft", "40 rejected answers are too few"),
        (Material(PAIRS_NEEDED, 0, 0, 0), "sft", "0 rejected answers"),
        (Material(40, 40, FEW, 2), "sft", "6 thumbs are left out"),
        (Material(40, 40, 100, FEW - 1), "sft", "103 thumbs are left out"),
        (Material(0, 0, MANY, FEW), "kto", "16 thumbs up and 4 down."),
        (Material(3, 3, FEW, MANY), "kto", "beside sft on 3 corrections"),
        (Material(400, DPO_PAIRS - 1, MANY, FEW), "kto", "beside sft on 400 corrections"),
        (Material(400, DPO_PAIRS, MANY, FEW), "dpo", "300 answers stand beside a wrong one"),
        (Material(0, DPO_PAIRS, 0, 0), "dpo", "thumbs are not"),
    ],
)
def test_it_goes_by_what_there_is_and_says_why(found, objective, why):
    chosen, said = choose("auto", found, "w")
    assert chosen == objective
    assert why in said and said.startswith(objective)


@pytest.mark.parametrize("count", [0, 1, 2, PAIRS_NEEDED - 1])
def test_too_little_is_refused_with_what_is_missing(count):
    missing = PAIRS_NEEDED - count
    with pytest.raises(BadInput, match=f"'w' has {count} approved corrections.*approve {missing} "):
        choose("auto", Material(count, count, 1, 1), "w")
    for asked, found in (
        ("sft", Material(count, 50, 50, 50)),
        ("dpo", Material(50, count, 50, 50)),
        ("kto", Material(50, 50, count, 0)),
    ):
        with pytest.raises(BadInput, match=f"'w' has {count} approved .*approve {missing} more."):
            choose(asked, found, "w")


def test_what_is_asked_for_is_done_where_it_can_be():
    found = Material(50, 50, 7, 1)
    for asked in ("sft", "dpo", "kto"):
        assert choose(asked, found, "w") == (asked, f"{asked} was asked for.")
    with pytest.raises(BadInput, match="one kind"):
        choose("kto", Material(50, 50, 8, 0), "w")
