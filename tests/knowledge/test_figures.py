"""Figures of one kind, written in one way."""

import pytest

from knowledge.figures import figures


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Within 30 days.", {"number of day": {"30"}}),
        ("one day, thirty days", {"number of day": {"1", "30"}}),
        ("It costs 1,200.50 euros or €15", {"amount": {"1200.5", "15"}}),
        ("$5 and 5.00 USD", {"amount": {"5"}}),
        ("10 % off, 12 percent more", {"percent": {"10", "12"}}),
        ("Until 2024-03-01 or 1.3.2024", {"date": {"2024-03-01", "1.3.2024"}}),
        ("On 3rd of March 2024, on March 3, 2024", {"date": {"mar 3 2024"}}),
        ("From 9:00 to 17:30, or 9 am", {"time": {"9", "17:30", "9am"}}),
        ("Write to Ann@Quay.example.", {"mail": {"ann@quay.example"}}),
        ("See https://quay.example/terms.", {"address": {"https://quay.example/terms"}}),
        ("Call +49 (0)221 555-0144", {"phone": {"+4902215550144"}}),
        ("1,000 pumps are 1000 pumps", {"number of pump": {"1000"}}),
        ("No figures at all, none.", {}),
        ("Model A4 and ERR-4711", {}),
    ],
)
def test_figures_by_kind(text, found):
    assert figures(text) == found
