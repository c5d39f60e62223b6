"""Patterns are found as `re` finds them, and none can hang."""

import pytest

from tuning import patterns
from tuning.patterns import PatternTooSlow, find, pattern_fault


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [(r"^\d+$", "12", True), (r"^\d+$", "12a", False), (r"(?i)ahoy", "AHOY", True)],
)
def test_found(pattern, text, found):
    assert find(pattern, text) is found


def test_a_pattern_that_explodes_is_stopped(monkeypatch):
    monkeypatch.setattr(patterns, "SEARCH_SECONDS", 0.05)
    with pytest.raises(PatternTooSlow):
        find(r"(a+)+$", "a" * 5000 + "b")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "no regular expression"), ("a{2,1}", "no regular"), (5, "no text"), ("", "no text")],
)
def test_what_is_no_pattern_is_said(pattern, said):
    assert said in (pattern_fault(pattern) or "")


def test_a_good_pattern_has_no_fault():
    assert pattern_fault(r"\d+") is None
