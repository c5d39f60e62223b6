"""Reasons as they are typed and as they are stored."""

import pytest

from assistant.feedback_reasons import REASONS, known_reasons, named_reason
from storage.errors import BadInput


def test_a_reason_is_named_by_its_text_or_its_key():
    assert {named_reason(one) for one in ("wrong_tone", "Wrong tone", " wrong TONE ")} == {
        "Wrong tone"
    }
    with pytest.raises(BadInput, match="'rude' is no reason: use one of wrong, incomplete"):
        named_reason("rude")


def test_only_known_ones_count_in_their_order():
    assert known_reasons(["Wrong tone", "Wrong", 7, "unheard of"]) == ["Wrong", "Wrong tone"]
    assert len({named_reason(one) for one in REASONS}) == len(REASONS)
