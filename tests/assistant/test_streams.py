"""Replies in threads of their own: handed over, stopped, left."""

import threading
import time

import pytest

from assistant.reply import Delta, Done
from assistant.streams import Streams, Waits
from storage.errors import BadInput


class Talker:
    """Says a word at a time until it is told to stop."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.ended = threading.Event()
        self.said = 0

    def events(self, cancel: threading.Event):
        try:
            while not cancel.wait(0.002):
                self.said += 1
                self.threads.add(threading.get_ident())
                yield Delta("word ")
        finally:
            self.ended.set()


def test_pieces_come_in_order_and_waiting_ones_together():
    def events(cancel):
        for number in range(100):
            yield Delta(f"{number} ")

    pieces = []
    for event in Streams().run(events, threading.Event()):
        pieces.append(event.text)
        time.sleep(0.005)
    assert "".join(pieces) == "".join(f"{number} " for number in range(100))
    assert len(pieces) < 50


def test_one_reply_stays_on_one_thread_that_is_not_the_readers():
    talker = Talker()
    stream = Streams().run(talker.events, threading.Event())
    for _ in range(5):
        reader = threading.Thread(target=lambda: next(stream))
        reader.start()
        reader.join()
    stream.close()
    assert len(talker.threads) == 1
    assert threading.get_ident() not in talker.threads


def test_stop_ends_the_replies_of_that_conversation_only():
    streams, one, two = Streams(), Talker(), Talker()
    first = streams.run(one.events, streams.announce("one"))
    second = streams.run(two.events, streams.announce("two"))
    next(first), next(second)
    streams.stop("one")
    streams.stop("three")
    assert all(isinstance(event, Delta) for event in first)
    assert one.ended.wait(60)
    assert not two.ended.is_set()
    assert isinstance(next(second), Delta)
    second.close()
    assert two.ended.wait(60)


def test_a_reader_who_leaves_stops_the_reply():
    talker = Talker()
    stream = Streams().run(talker.events, threading.Event())
    next(stream)
    stream.close()
    assert talker.ended.wait(60)
    before = talker.said
    time.sleep(0.05)
    assert talker.said == before


def test_what_goes_wrong_is_raised_to_the_reader_after_what_was_said():
    def events(cancel):
        yield Delta("so far ")
        raise BadInput("The question is too long.")

    stream = Streams().run(events, threading.Event())
    assert next(stream) == Delta("so far ")
    with pytest.raises(BadInput, match="too long"):
        next(stream)


def test_a_stop_before_the_first_word_is_not_lost():
    streams, talker = Streams(), Talker()
    cancel = streams.announce("one")
    streams.stop("one")
    assert list(streams.run(talker.events, cancel)) == []
    assert talker.said == 0


def test_nothing_is_kept_of_replies_that_ended():
    streams = Streams()
    cancel = streams.announce("one")
    assert list(streams.run(lambda cancel: iter([Delta("a")]), cancel)) == [Delta("a")]
    streams.forget("one", cancel)
    streams.stop("one")
    assert streams._running == {}


def test_who_waits_is_told_so_until_the_first_word():
    begin = threading.Event()

    def events(cancel):
        begin.wait(10)
        yield Delta("word")
        time.sleep(0.1)
        yield Delta(" more")

    stream = Streams().run_and_wait(events, threading.Event(), 0.01)
    assert [next(stream), next(stream)] == [Waits(), Waits()]
    begin.set()
    assert [event for event in stream if event != Waits()] == [Delta("word"), Delta(" more")]


def test_pieces_come_as_seldom_as_asked_and_none_is_lost():
    def events(cancel):
        for number in range(20):
            yield Delta(f"{number} ")
            time.sleep(0.005)
        yield Done("saved")

    stream = Streams().run_and_wait(events, threading.Event(), pause=lambda: 0.04)
    *pieces, done = stream
    assert done == Done("saved")
    assert pieces[0] == Delta("0 ")  # the first word is not held back
    assert "".join(piece.text for piece in pieces) == "".join(f"{number} " for number in range(20))
    assert len(pieces) <= 6


def test_what_was_held_back_is_heard_before_what_went_wrong():
    def events(cancel):
        yield Delta("one ")
        yield Delta("two")
        raise BadInput("No.")

    stream = Streams().run_and_wait(events, threading.Event(), pause=lambda: 60)
    said = ""
    with pytest.raises(BadInput):
        for piece in stream:
            said += piece.text
    assert said == "one two"
