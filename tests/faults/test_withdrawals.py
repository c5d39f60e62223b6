"""A right that is taken away while a reply is made: it ends, says why, and is kept as it stood.

On an engine that never ends a reply by itself.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import gradio as gr
import httpx
import pytest

from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View
from assistant.security import SESSION_COOKIE, session_cookie
from assistant.settings import read_settings
from storage.database import one, rows
from storage.datadir import open_datadir
from storage.keys import create_key, revoke_key
from storage.users import create_user, delete_user, join, leave
from storage.workspaces import create_workspace, delete_workspace, set_workspace, workspace
from tests.assistant.people import Caller, everybody
from tests.assistant.slow_engine import SlowApp
from tests.serving import served

BAR = "B23"
SOON_S = 3.0
"""From the act to the end: the watch looks twice a second, and the machine has other work."""
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def slow(tmp_path_factory, tiny_base) -> Iterator[SlowApp]:
    folder = tmp_path_factory.mktemp("withdrawn") / "data"
    made = read_settings(data=folder, base_model=str(tiny_base.folder), threads=1, context=512)
    app = SlowApp(made, open_datadir(folder))
    assert app.engine
    yield app
    app.close()


@pytest.fixture(scope="module")
def people(slow) -> dict[str, Caller]:
    return everybody(slow)


@pytest.fixture(scope="module")
def url(slow, people) -> Iterator[str]:
    with served(slow) as address:
        yield address


def told(record, took: list[float]) -> None:
    record("bar", BAR)
    record("trials", len(took))
    record("failures", sum(one > SOON_S for one in took))
    assert max(took) <= SOON_S, took


def lines_until(stream, act: Callable[[], None]) -> tuple[list[dict], float]:
    """What a stream says, and the seconds from `act`, at its third piece, to its end."""
    said, begun = [], 0.0
    for line in stream.iter_lines():
        if line.startswith("data: {"):
            said.append(json.loads(line[6:]))
        if len(said) == 4 and not begun:
            act()
            begun = time.monotonic()
    return said, time.monotonic() - begun


def kept(app: SlowApp) -> dict:
    """The newest reply, once it is over."""
    with closing(app.db()) as db:
        found = one(
            db, "select * from messages where role = 'assistant' order by rowid desc limit 1"
        )
    assert found
    return found


def in_db(app: SlowApp, act: Callable) -> Callable[[], None]:
    def acted() -> None:
        with closing(app.db()) as db:
            act(db)

    return acted


ACTS = {
    "key": lambda db: revoke_key(db, "api key", actor="user:1"),
    "workspace": lambda db: delete_workspace(db, "brief", actor="user:1"),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_programs_stream_ends(slow, url, record_property, act):
    with closing(slow.db()) as db:
        brief = create_workspace(db, "brief") if act == "workspace" else workspace(db, "team")
        name = "api key" if act == "key" else "another"
        key = create_key(db, name, workspace_id=brief.id, actor="user:1")[1]
    body = {"model": brief.name, "stream": True, "messages": [{"role": "user", "content": "Go."}]}
    bearer = {"authorization": f"Bearer {key}"}
    address = f"{url}/v1/chat/completions"
    with httpx.stream("POST", address, json=body, headers=bearer, timeout=30) as stream:
        assert stream.status_code == 200
        said, took = lines_until(stream, in_db(slow, ACTS[act]))
    assert "meanwhile" in said[-1]["error"]["message"], said[-1]
    if act == "key":
        assert kept(slow)["finish_reason"] == "interrupted"
        assert kept(slow)["content"].startswith("word word")
        assert httpx.post(address, json=body, headers=bearer).status_code == 401
    told(record_property, [took])


def test_who_waits_for_the_whole_answer_is_told_too(slow, url, record_property):
    with closing(slow.db()) as db:
        team = workspace(db, "team").id
        key = create_key(db, "whole", workspace_id=team, actor="user:1")[1]
    timer = threading.Timer(1.0, in_db(slow, lambda db: revoke_key(db, "whole", actor="user:1")))
    begun = time.monotonic()
    timer.start()
    body = {"model": "team", "messages": [{"role": "user", "content": "Go."}]}
    sent = httpx.post(
        f"{url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )
    assert sent.status_code == 403 and "revoked" in sent.json()["error"]["message"]
    told(record_property, [time.monotonic() - begun - 1.0])


@pytest.mark.parametrize("act", ["key", "closed"])
def test_a_widgets_stream_ends(slow, url, record_property, act):
    with closing(slow.db()) as db:
        set_workspace(db, "site", "access", "embed")
        made = {"kind": "embed", "origins": [SHOP], "workspace_id": workspace(db, "site").id}
        key = create_key(db, f"widget {act}", actor="user:1", **made)[1]

    def take(db):
        if act == "key":
            revoke_key(db, "widget key", actor="user:1")
        else:
            set_workspace(db, "site", "access", "members")

    headers = {"x-apprentice-visitor": "v" * 40}
    address = f"{url}/embed/{key}/ask"
    with httpx.stream(
        "POST", address, json={"question": "Go."}, headers=headers, timeout=30
    ) as stream:
        assert stream.status_code == 200
        said, took = lines_until(stream, in_db(slow, take))
    assert said[-1]["type"] == "error" and "What was said until then is kept" in said[-1]["error"]
    assert kept(slow)["finish_reason"] == "interrupted"
    told(record_property, [took])


@pytest.mark.parametrize("who", ["member", "removed", "visitor"])
def test_a_reply_on_the_chat_page_ends(slow, people, record_property, who):
    """For who is no longer a member, is removed, or whose public workspace is public no more."""
    with gr.Blocks():
        parts = lay_out()
    where = "open" if who == "visitor" else "team"
    with closing(slow.db()) as db:
        user = create_user(db, f"here {who}", "no password", "member")
        team = workspace(db, "team").id
        join(db, user.id, team)
        caller = people["visitor"]
        if who != "visitor":
            caller = Caller({SESSION_COOKIE: session_cookie(slow, db, user)}, caller.person)

    def take(db):
        if who == "member":
            leave(db, user.id, team)
        elif who == "removed":
            delete_user(db, user.name)
        else:
            set_workspace(db, "open", "access", "members")

    stream = ChatEvents(slow, parts).send("Go.", View(where), caller.request())
    shown = [next(stream), next(stream), next(stream)]
    assert shown
    in_db(slow, take)()
    begun = time.monotonic()
    with pytest.raises(gr.Error, match="nothing here for you"):
        for _ in stream:
            assert time.monotonic() - begun < 20
    told(record_property, [time.monotonic() - begun])
    assert kept(slow)["finish_reason"] == "interrupted" and kept(slow)["content"]


def test_what_is_asked_by_the_house_is_not_watched_and_nothing_is_left_over(slow):
    cancel = threading.Event()
    with slow.withdrawals.watched("cli", 99999, cancel) as refuse:
        cancel.set()
        refuse()
    end = time.monotonic() + 10
    while slow.withdrawals._at_work and time.monotonic() < end:
        time.sleep(0.05)
    assert not slow.withdrawals._watched and not slow.withdrawals._at_work
    with closing(slow.db()) as db:
        assert not rows(
            db, "select id from messages where role = 'assistant' and finish_reason is null"
        )
