"""Readers over HTTP: what they get, and that nothing is made for who has left."""

import threading
from contextlib import ExitStack

import anyio
import pytest
from starlette.requests import Request

from assistant.readers import AT_ONCE, LEAST, SHARE, Readers
from assistant.reply import Delta


def request(left: anyio.Event) -> Request:
    """Of somebody who hangs up when `left` is set."""

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def endless(cancel):
    while not cancel.wait(0.01):
        yield Delta("word ")


def test_all_that_is_said_is_read_and_the_place_is_free_again():
    async def read():
        readers, cancel = Readers(), threading.Event()
        events = readers.follow(
            request(anyio.Event()), lambda cancel: iter([Delta("a"), Delta("b")]), cancel
        )
        said = "".join([event.text async for event in events])
        assert (said, cancel.is_set(), readers.full()) == ("ab", True, False)

    anyio.run(read)


def test_who_leaves_ends_the_reply_though_nothing_more_is_sent():
    async def read():
        left, cancel = anyio.Event(), threading.Event()
        events = Readers().follow(request(left), endless, cancel)
        await anext(events)
        left.set()
        async for _ in events:
            pass
        assert cancel.is_set()

    anyio.run(read)


def test_more_than_there_are_places_for_are_told():
    async def read():
        readers, left = Readers(), anyio.Event()
        all_of_them = [
            readers.follow(request(left), endless, threading.Event()) for _ in range(AT_ONCE)
        ]
        for events in all_of_them:
            assert not readers.full()
            await anext(events)
        assert readers.full()
        for events in all_of_them:
            await events.aclose()
        assert not readers.full()

    anyio.run(read)


def test_who_comes_has_a_place_before_anything_is_read():
    readers = Readers()
    with ExitStack() as coming:
        for place in range(AT_ONCE):
            assert not readers.full()
            coming.enter_context(readers.place(f"caller {place}"))
        assert readers.full()
    assert not readers.full()


def test_one_caller_has_a_share_of_the_places():
    async def read():
        readers, left, cancel = Readers(), anyio.Event(), threading.Event()
        greedy = [
            readers.follow(request(left), endless, cancel, "greedy")
            for _ in range(AT_ONCE // SHARE)
        ]
        for events in greedy:
            assert not readers.full("greedy")
            await anext(events)
        assert readers.full("greedy") and not readers.full("other") and not readers.full()
        for events in greedy:
            await events.aclose()
        assert not readers.full("greedy")

    anyio.run(read)


@pytest.mark.parametrize(("others", "share"), [(0, 8), (3, 8), (7, 4), (20, LEAST)])
def test_the_more_callers_there_are_the_less_has_each(others, share):
    readers = Readers()
    with ExitStack() as coming:
        for other in range(others):
            coming.enter_context(readers.place(f"other {other}"))
        for _ in range(share):
            assert not readers.full("greedy")
            coming.enter_context(readers.place("greedy"))
        assert readers.full("greedy") and not readers.full("another")


def test_what_goes_wrong_is_raised_to_the_reader():
    def broken(cancel):
        yield Delta("a")
        raise ValueError("broken")

    async def read():
        events = Readers().follow(request(anyio.Event()), broken, threading.Event())
        with pytest.raises(ValueError, match="broken"):
            async for _ in events:
                pass

    anyio.run(read)
