"""Ids to shown text: ends of turn, stop texts, half characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.engines.reply_text import ReplyText

END = 2


def shown(tokenizer, ids, stop=()):
    reply = ReplyText(tokenizer, stop)
    pieces = []
    for one in ids:
        pieces.append(reply.push([one]))
        if reply.ended:
            return pieces, True
    return [*pieces, reply.flush()], False


def test_the_end_of_turn_is_not_shown(tokenizer):
    ids = [*tokenizer.completion_ids("Closed."), *tokenizer.encode("more")]
    pieces, ended = shown(tokenizer, ids)
    assert "".join(pieces) == "Closed." and ended


@pytest.mark.parametrize("stop", ["orders", " completed", "\n\n", "the", "L"])
def test_a_stop_text_is_not_shown(tokenizer, stop):
    text = "List the completed orders\n\nUser: more"
    pieces, ended = shown(tokenizer, tokenizer.encode(text), ("zzz", stop))
    assert "".join(pieces) == text[: text.index(stop)] and ended


@given(st.text(alphabet="abXY é日", max_size=30), st.text("abXY", min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_text_is_shown_up_to_the_stop(tokenizer, text, stop):
    pieces, ended = shown(tokenizer, tokenizer.encode(text), [stop, ""])
    assert ended == (stop in text)
    assert "".join(pieces) == text.split(stop)[0]


def test_text_is_shown_as_soon_as_it_may_be(tokenizer):
    ids = tokenizer.encode("List the orders.")
    pieces, _ = shown(tokenizer, ids, ("###",))
    assert "" not in pieces[:-1]


def test_half_a_character_at_the_end_is_dropped(tokenizer):
    ids = [*tokenizer.encode("a"), tokenizer.encode("😀")[0]]
    pieces, _ = shown(tokenizer, ids)
    assert "".join(pieces) == "a"
