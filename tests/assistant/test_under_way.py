"""Replies that are being made: counted, told when they end, cut off when the server stops."""

import threading
import time
from contextlib import ExitStack

import pytest

from assistant.reply import Delta
from assistant.under_way import AT_ONCE, Stopping, UnderWay
from storage.errors import BadInput


def endless(cancel, ended):
    try:
        while not cancel.wait(0.005):
            yield Delta("word ")
    finally:
        ended.set()


def read(events):
    for _ in events:
        pass


@pytest.fixture
def heard():
    return []


@pytest.fixture
def under_way(heard):
    made = UnderWay()
    made.on_end(lambda how, saved: heard.append((how, saved)))
    return made


def test_one_waits_then_speaks_then_is_gone(under_way, heard):
    cancel, ended = threading.Event(), threading.Event()
    events = under_way.follow(endless(cancel, ended), cancel)
    assert under_way.count(speaking=False) == 0  # nothing happens before it is read
    next(events)
    assert under_way.count(speaking=True) == 1 and under_way.count(speaking=False) == 0
    events.close()
    assert ended.is_set() and under_way.count(speaking=True) == 0
    assert heard == [("interrupted", None)]


@pytest.mark.parametrize(
    "error, how", [(BadInput("No."), "refused"), (RuntimeError("no"), "failed")]
)
def test_one_that_raises_is_told_as_such(under_way, heard, error, how):
    def raising():
        raise error
        yield

    with pytest.raises(type(error)):
        read(under_way.follow(raising(), threading.Event()))
    assert heard == [(how, None)] and under_way.count(speaking=False) == 0


def test_a_drain_refuses_new_ones_and_cuts_off_what_does_not_end(under_way):
    cancel, ended = threading.Event(), threading.Event()
    events = under_way.follow(endless(cancel, ended), cancel)
    next(events)
    reader = threading.Thread(target=read, args=(events,))
    reader.start()
    started = time.monotonic()
    assert under_way.drain(0.2) == 1
    assert 0.2 <= time.monotonic() - started < 5
    assert ended.wait(5)
    reader.join(5)
    with pytest.raises(Stopping):
        next(under_way.follow(iter([Delta("x")]), threading.Event()))
    assert under_way.drain(5) == 0  # at once: there is nothing to wait for


def test_who_waits_knows_how_many_are_before(under_way):
    begin, asked = threading.Event(), [threading.Event() for _ in range(3)]

    def quiet():
        begin.wait(10)
        yield Delta("word")

    readers = []
    for cancel in asked:
        events = under_way.follow(quiet(), cancel)
        readers.append(threading.Thread(target=read, args=(events,)))
        readers[-1].start()
        while under_way.count(speaking=False) != len(readers):
            time.sleep(0.001)
    assert [under_way.before(cancel) for cancel in asked] == [0, 0, 0]  # there is room for all
    begin.set()
    for reader in readers:
        reader.join()
    assert under_way.count(speaking=False) == 0


def test_so_many_are_made_at_once_and_the_others_in_the_order_of_asking():
    under_way, begun = UnderWay(), []
    cancels = [threading.Event() for _ in range(3)]
    places = [under_way.turn(threading.Event()) for _ in range(AT_ONCE)]
    for place in places:
        place.__enter__()

    def make(number):
        with under_way.turn(cancels[number]):
            begun.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    assert begun == []
    cancels[1].set()  # does not want it any more, and keeps nobody waiting
    threads[1].join(5)
    assert begun == [1]
    places.pop().__exit__(None, None, None)  # the one place goes from hand to hand
    for thread in (threads[0], threads[2]):
        thread.join(5)
    assert begun == [1, 0, 2]
    for place in places:
        place.__exit__(None, None, None)


def test_a_question_counts_from_its_first_moment_until_it_is_answered_or_given_up():
    under_way, cancel = UnderWay(), threading.Event()
    with under_way.asked(cancel):
        assert under_way.count(speaking=False) == 1
        read(under_way.follow((Delta(word) for word in "ab"), cancel))
        assert under_way.count(speaking=False) == 0
    with pytest.raises(BadInput), under_way.asked(cancel):
        raise BadInput("No.")
    assert under_way.count(speaking=False) == 0


def test_who_asks_a_full_house_is_told_how_many_wait():
    under_way = UnderWay()
    asked = [threading.Event() for _ in range(AT_ONCE + 3)]
    told = []
    with ExitStack() as all_of_them:
        for cancel in asked:
            told.append(under_way.in_line(0))
            all_of_them.enter_context(under_way.asked(cancel))
        assert under_way.in_line(2 * AT_ONCE) == 2 * AT_ONCE  # counted before they come here
        assert [under_way.before(cancel) for cancel in asked] == list(range(AT_ONCE + 3))
    assert told == [0] * AT_ONCE + [AT_ONCE, AT_ONCE + 1, AT_ONCE + 2]
