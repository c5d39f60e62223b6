"""Asking an engine in a test."""

import threading

from assistant.engines.protocol import Sampling

TOKENS = 16


def ask(engine, prompt, adapter_id=None, tokens=TOKENS, *, stop=(), cancel=None, **sampling):
    """All pieces of one reply."""
    how = Sampling(max_tokens=tokens, **sampling)
    return list(engine.stream(prompt, adapter_id, how, stop, cancel or threading.Event()))


def text_of(pieces):
    """What was said, without half a character at its end: only the tiny model says such."""
    return "".join(piece.text for piece in pieces).rstrip("\ufffd")


def tokens_of(pieces):
    return sum(piece.tokens for piece in pieces)
