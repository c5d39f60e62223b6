"""A crowd at the widget and at the chat page: everybody is told something, no word is lost, and
nothing is left behind when they go (bar B20; `bench_load` has five hundred for ten minutes)."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from assistant.settings import read_settings
from storage.connections import _CLOSED, KEPT, _Lent
from storage.database import one
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.workspaces import set_workspace
from tests.benchmarks.bench_load import MANY
from tests.benchmarks.crowd import SIGN, GradioPage, Heard, Widget, crowd, leave
from tests.benchmarks.stand_in import LITTLE_REPLY, StandInApp
from tests.serving import served

USERS, SECONDS, LEAVERS = 30, 4.0, 12
SETTLED_S = 20.0


@pytest.fixture(scope="module")
def house(tmp_path_factory, tiny_base) -> Iterator[tuple[StandInApp, str, str]]:
    """The app, its address and the key of a website."""
    data = tmp_path_factory.mktemp("crowd") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1)
    with closing(StandInApp(settings, open_datadir(settings.data))) as app:
        with closing(app.db()) as db:
            set_workspace(db, "default", "access", "public")
            made = {"kind": "embed", "workspace_id": 1, "per_minute": MANY, "actor": "x"}
            key = create_key(db, "crowd", origins=["https://shop.example"], **made)[1]
        with served(app) as url:
            yield app, url, key


@pytest.fixture(params=["widget", "chat page"])
def place(request, house):
    _, url, key = house
    return Widget(url, key) if request.param == "widget" else GradioPage(url, "send", SIGN)


def test_everybody_is_told_something_and_no_word_is_lost(house, place, record_property):
    app, _, _ = house
    asyncio.run(crowd(place, 2, 0.5))
    heard: Heard = asyncio.run(crowd(place, USERS, SECONDS))
    with closing(app.db()) as db:
        sql = "select 1 from messages where ? in (id, conversation_id) and content = ?"
        kept = sum(bool(one(db, sql, told.id, LITTLE_REPLY)) for told in heard.of("answered"))
    failures = len(heard.of("lost")) + len(heard.of("answered")) - kept
    record_property("bar", "B20")
    record_property("trials", len(heard.told))
    record_property("failures", failures)
    assert heard.of("lost") == []
    assert kept == len(heard.of("answered")) > USERS / 2
    assert app.under_way.count(speaking=True) == app.under_way.count(speaking=False) == 0


def test_who_leaves_in_the_middle_leaves_nothing_behind(house, place):
    app, _, _ = house
    asyncio.run(crowd(place, 2, 0.5))
    before, others = held(), replies()
    for _ in range(2):
        asyncio.run(leave(place, LEAVERS, 0.9))
    settled(lambda: app.under_way.count(speaking=True) + app.under_way.count(speaking=False) == 0)
    settled(lambda: replies() <= others)
    settled(lambda: held() <= before + 4)  # what Chroma and the page keep open by themselves
    settled(lambda: len(app._connections._idle) <= KEPT and not lent(app))
    with closing(app.db()) as db:
        assert one(db, "select 1 from messages where finish_reason = 'interrupted'")


def replies() -> set[threading.Thread]:
    """The threads that make one, also for another server in this process."""
    return {one for one in threading.enumerate() if one.name == "reply"}


def lent(app) -> list[_Lent]:
    """The connections of this house that were not given back."""
    known = [one for one in gc.get_objects() if type(one) is _Lent]
    ours = [one for one in known if one._take_back.__self__ is app._connections]
    return [one for one in ours if one.conn is not _CLOSED]


def held() -> int:
    """Sockets and other files that this process has open, but for the connections that it keeps."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed meanwhile
            found += "apprentice.db" not in os.readlink(f"/proc/self/fd/{name}")
    return found


def settled(so: Callable[[], bool]) -> None:
    """Waits until it is so."""
    end = time.monotonic() + SETTLED_S
    while not so():
        assert time.monotonic() < end, f"{held()} files, {threading.enumerate()}"
        time.sleep(0.1)
