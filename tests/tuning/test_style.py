"""How like an author's writing a text is: profiles, the check, and the mean by row."""

import pytest

from storage.errors import BadInput
from tuning.checks import declared, judge
from tuning.evaluate import Case, Evaluation, likeness_by_row
from tuning.style import TEXTS_NEEDED, likeness, profile, style_check

SHOUTED = [
    "HELLO THERE!!! WE SHIP ON MONDAY!!! THANKS!!!",
    "HELLO AGAIN!!! THE LAMP SHIPS TODAY!!! THANKS!!!",
    "HELLO!!! YOUR LAMP IS HERE!!! THANKS A LOT!!!",
    "HELLO THERE!!! WE ARE CLOSED ON MONDAY!!! THANKS!!!",
    "HELLO!!! SHIPPING IS FREE TODAY!!! THANKS!!!",
]
QUIET = "dear sir, the lamp will be with you in three days, yours faithfully"


def case(id, check, expected="HELLO!!! THANKS!!!"):
    return Case(id, "style 0", "new wordings", (), (1,), expected, check)


def test_own_writing_is_liker_than_somebody_elses():
    grams = profile(SHOUTED)
    own = likeness(grams, "HELLO!!! WE SHIP THE LAMP TODAY!!! THANKS!!!")
    assert own > 0.8 > 0.2 > likeness(grams, QUIET)
    assert likeness(grams, "") == likeness(grams, "ab") == 0.0


def test_numbers_and_gaps_do_not_matter():
    grams = profile(["Order 17  ships\ton 3 May."])
    assert likeness(grams, "Order 94 ships on 8 May.") == 1.0
    assert likeness(grams, "Order 94\nships on 8 May.") < 1.0


def test_floor_is_what_the_author_reaches_by_the_other_texts():
    check = style_check(SHOUTED)
    assert check["type"] == "style" and 0.2 < check["floor"] < 1.0
    reached = [likeness(check["grams"], text) >= check["floor"] for text in SHOUTED]
    assert all(reached)  # a text's own n-grams are in the whole profile
    assert likeness(check["grams"], QUIET) < check["floor"]
    assert judge(check, SHOUTED[0], "HELLO!!! WE SHIP TODAY!!! THANKS!!!")
    assert not judge(check, SHOUTED[0], QUIET)


def test_few_texts_have_no_floor():
    assert style_check(SHOUTED[: TEXTS_NEEDED - 1])["floor"] == 0.0


def test_mean_likeness_by_row():
    check = style_check(SHOUTED)
    cases = [case("1", check), case("2", check), case("3", {"type": "exact"})]
    said = [
        Evaluation(one.id, row, text, True, "new wordings")
        for one in cases
        for row, text in (("candidate", SHOUTED[0]), ("base", QUIET))
    ]
    found = likeness_by_row(cases, said)
    assert found["candidate"] == pytest.approx(likeness(check["grams"], SHOUTED[0]), abs=1e-4)
    assert found["base"] == pytest.approx(likeness(check["grams"], QUIET), abs=1e-4)
    assert found["author"] == pytest.approx(likeness(check["grams"], cases[0].expected), abs=1e-4)


def test_nothing_is_said_without_such_cases():
    assert likeness_by_row([case("3", {"type": "exact"})], []) == {}


def test_nobody_declares_a_style_by_hand():
    with pytest.raises(BadInput, match="style import"):
        declared({"type": "style"})
