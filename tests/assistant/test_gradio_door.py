"""Of a Gradio app only what its page needs is there."""

import asyncio
from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from assistant.gradio_door import ANSWERS, GradioDoor, _own

EVENT = {"fn_index": 1, "data": [], "session_hash": "abc"}


async def everything(request: Request):
    return PlainTextResponse(f"inside {len(await request.body())}")


def page() -> gr.Blocks:
    """Two events, as many as may wait for the rest of this file."""
    with gr.Blocks() as made:
        for _ in range(2):
            gr.Button().click(lambda: None)
    return made.queue(max_size=8)


def client(*, uploads: bool = False) -> TestClient:
    inside = Starlette(routes=[Route("/{path:path}", everything, methods=["GET", "POST"])])
    door = GradioDoor(inside, page(), lambda request: "somebody", uploads=uploads)
    return TestClient(Starlette(routes=[Mount("/admin", door)]))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/theme.css",
        "/assets/index-D.js",
        "/static/fonts/a/b.woff2",
        "/gradio_api/heartbeat/abc123",
        "/gradio_api/startup-events",
    ],
)
def test_what_the_page_needs_is_there(path):
    assert client().get(f"/admin{path}").text == "inside 0"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/run/predict",
        "/gradio_api/call/send",
        "/gradio_api/api/send",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/proxy=http://example.com",
        "/gradio_api/component_server",
        "/gradio_api/vibe-edit/",
        "/gradio_api/runs",
        "/gradio_api/openapi.json",
        "/gradio_api/login_check",
        "/monitoring",
        "/monitoring/x",
        "/login",
        "/svelte/x",
        "/assets/../config.py",
    ],
)
def test_the_rest_is_not(path):
    assert client().get(f"/admin{path}").status_code == 404
    assert client().post(f"/admin{path}").status_code == 404


def test_uploads_are_there_where_they_are_wanted():
    assert client(uploads=True).post("/admin/gradio_api/upload").status_code == 200


def test_an_event_passes_whole():
    answer = client().post("/admin/gradio_api/queue/join", json=EVENT)
    assert answer.status_code == 200
    assert int(answer.text.split()[1]) > 30


@pytest.mark.parametrize(
    "event",
    [
        {**EVENT, "fn_index": 2},
        {**EVENT, "fn_index": -1},
        {**EVENT, "fn_index": True},
        {**EVENT, "fn_index": "1"},
        {**EVENT, "fn_index": None},
        {**EVENT, "data": "x"},
        {**EVENT, "session_hash": None},
        {"data": []},
        [],
        "x",
    ],
)
def test_nonsense_is_no_event(event):
    for path in ("/admin/gradio_api/queue/join", "/admin/gradio_api/queue/join/"):
        assert client().post(path, json=event).status_code == 422


def test_what_is_not_json_is_no_event():
    assert client().post("/admin/gradio_api/queue/join", content=b"\xff{").status_code == 422


def asking() -> gr.Blocks:
    """An event that the model answers, and one that it does not."""
    with gr.Blocks() as made:
        gr.Button().click(lambda: None, concurrency_id=ANSWERS)
        gr.Button().click(lambda: None)
    return made.queue(max_size=8)


def test_questions_of_one_caller_have_a_pace_of_their_own():
    inside = Starlette(routes=[Route("/{path:path}", everything, methods=["GET", "POST"])])
    door = GradioDoor(
        inside, asking(), lambda request: request.headers["x-who"], questions_per_second=0.4
    )
    page = TestClient(door)

    def press(who: str, index: int):
        event = {**EVENT, "fn_index": index}
        return page.post("/gradio_api/queue/join", json=event, headers={"x-who": who})

    told = [press("abuser", 0) for _ in range(20)]
    assert [one.status_code for one in told] == [200] * 2 + [429] * 18
    assert int(told[-1].headers["retry-after"]) > 2
    assert "wait a moment" in told[-1].json()["detail"]
    assert press("another", 0).status_code == 200
    assert {press("abuser", 1).status_code for _ in range(30)} == {200}


def test_who_asks_is_told_at_once_how_many_wait():
    made = asking()
    inside = Starlette(routes=[Route("/{path:path}", everything, methods=["GET", "POST"])])
    door = GradioDoor(inside, made, lambda request: "somebody", in_line=lambda asked: asked + 8)
    request = Request({"type": "http", "headers": []})
    made._queue.active_jobs = [[SimpleNamespace(concurrency_id=ANSWERS, request=request)]]
    joined = [
        TestClient(door).post("/gradio_api/queue/join", json={**EVENT, "fn_index": index})
        for index in (0, 1)
    ]
    assert [one.headers.get("x-apprentice-before") for one in joined] == ["8", None]


def test_nothing_is_kept_of_a_session_that_was_told_all():
    made = asking()
    queue = made._queue
    door = GradioDoor(
        Starlette(routes=[Route("/{path:path}", everything)]), made, lambda request: "somebody"
    )
    page = TestClient(door)
    own = _own(Request({"type": "http", "headers": []}), "abc")
    for left, kept in ((set(), False), ({"an event"}, True)):
        queue.pending_messages_per_session[own] = asyncio.Queue()
        queue.pending_event_ids_session[own] = left
        assert page.get("/gradio_api/queue/data?session_hash=abc").text == "inside 0"
        assert (own in queue.pending_event_ids_session) == kept
