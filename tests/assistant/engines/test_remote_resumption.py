"""A reply that goes on elsewhere: nothing twice, nothing that contradicts what was told."""

import threading

import pytest

from assistant.engines.protocol import Chosen, Piece, Sampling
from assistant.engines.remote_dialects import Asked
from assistant.engines.remote_resumption import Resumption
from assistant.engines.remote_server import BrokeOff
from tests.assistant.engines.asking import text_of, tokens_of


def reply_of(**sampling):
    return Resumption(Asked([1], None, Sampling(**sampling), 9, (), threading.Event()))


def pieces(*texts, end=None):
    """A token for each word of each text; the word's length is its number."""
    for number, text in enumerate(texts, 1):
        words = text.split()
        chosen = tuple(Chosen(len(word), -0.1, ()) for word in words)
        yield Piece(text, len(words), end if number == len(texts) else None, chosen)


def tokens(heard):
    return [one.token for piece in heard for one in piece.chosen]


def heard_of(*texts):
    """A reply of which a first server told these."""
    reply = reply_of()
    return reply, list(reply.told(pieces(*texts)))


def test_one_server_is_told_as_it_says():
    reply = reply_of()
    said = list(pieces("one ", "three four ", "five", end="stop"))
    assert list(reply.told(iter(said))) == said


@pytest.mark.parametrize(
    "again",
    [
        ("one ", "three four ", "five ", "sixsix"),
        ("one three ", "four five sixsix"),
        ("one three four five sixsix",),
    ],
)
def test_what_was_told_is_not_told_again(again):
    reply, heard = heard_of("one ", "three four ")
    heard += reply.told(pieces(*again, end="length"))
    assert text_of(heard) == "one three four five sixsix"
    assert tokens_of(heard) == 5 and tokens(heard) == [3, 5, 4, 4, 6]
    assert [one.finish_reason for one in heard if one.finish_reason] == ["length"]


@pytest.mark.parametrize(
    "again", [("one two ",), ("one ", "three five five "), ("one three",), ("another",)]
)
def test_another_reply_is_not_mixed_with_it(again):
    reply, heard = heard_of("one ", "three four ")
    with pytest.raises(BrokeOff, match="another one goes on otherwise"):
        heard += reply.told(pieces(*again, end="stop"))
    assert text_of(heard) == "one three four "


def test_only_what_would_be_said_again_goes_on():
    sure, chance, seeded = reply_of(), reply_of(temperature=0.7), reply_of(temperature=0.7, seed=3)
    assert all(one.may_go_on() for one in (sure, chance, seeded))  # nothing is told yet
    for one in (sure, chance, seeded):
        next(one.told(pieces("one ", "two ")))
    assert [one.may_go_on() for one in (sure, chance, seeded)] == [True, False, True]
