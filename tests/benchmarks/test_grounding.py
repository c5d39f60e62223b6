"""Figures and names: what an answer holds and what another text has of it."""

import pytest

from tests.benchmarks.grounding import claims, found_in


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The patient is a 76-year-old.", {"76"}),
        ("She is seventy six, he is forty-four.", {"76", "44"}),
        ("Two hundred and five times, in two thousand seven.", {"205", "2007"}),
        ("It costs 1,250 euros or 4.50 a day.", {"1250", "4.5"}),
        ("She sees Dr. Kumar in Ohio. He agrees.", {"kumar", "ohio"}),
        ("CT scan of the chest", {"ct"}),
        ("VITAL SIGNS: normal", set()),
        ("1. Reflux disease. 2. Hypertension.", set()),
        ("One of them left.", set()),
        ("", set()),
    ],
)
def test_claims(text, wanted):
    assert claims(text) == wanted


def test_a_figure_is_found_in_digits_and_in_words():
    assert found_in("I am seventy six years old.", {"76"}) == {"76"}
    assert found_in("He turns 90 on 07/12.", {"90", "12", "91"}) == {"90", "12"}
    assert found_in("twenty three or four of them", {"23", "4", "27"}) == {"23", "4"}


def test_a_name_is_found_in_any_case():
    assert found_in("this agreement with GOOGLE", {"google", "apple"}) == {"google"}
