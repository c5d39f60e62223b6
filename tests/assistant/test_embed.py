"""The website widget over HTTP: who may frame it, who is answered, and what is kept of it."""

import json
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass

import httpx
import pytest
from starlette.testclient import TestClient

from assistant.app import App, open_app
from assistant.avatar import avatar_as_given
from assistant.embed import JUDGED_AT_MOST, UI
from assistant.settings import read_settings
from assistant.web import build_server
from storage.database import rows
from storage.datadir import open_datadir
from storage.feedback import approve, list_feedback, reject
from storage.keys import create_key, revoke_key
from storage.workspaces import create_workspace, set_workspace, workspace
from tests.assistant.pictures import opened, picture
from tests.assistant.slow_engine import SlowApp
from tests.serving import served

SHOP = "https://shop.example"
ADA, BOB = "a" * 64, "b" * 64


@dataclass
class Site:
    """A server with a workspace that a website shows."""

    app: App
    client: TestClient
    key: str

    def send(self, path, body=None, *, visitor=ADA, key="", **headers):
        sent = {"X-Apprentice-Visitor": visitor, **headers}
        address = f"/embed/{key or self.key}{path}"
        if body is None:
            return self.client.get(address, headers=sent)
        return self.client.post(address, json=body, headers=sent)

    def ask(self, question, conversation="", **more):
        """The events of an answer."""
        visitor = more.pop("visitor", ADA)
        body = {"question": question, "conversation": conversation, **more}
        answer = self.send("/ask", body, visitor=visitor)
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line]

    def made(self, **limits):
        """Another key of the same workspace."""
        with closing(self.app.db()) as db:
            site, number = workspace(db, "site").id, len(rows(db, "select id from keys"))
            made = {"kind": "embed", "workspace_id": site, "origins": [SHOP], "actor": "x"}
            made["per_minute"] = 1000
            return create_key(db, f"key {number}", **{**made, **limits})[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory, tiny_base):
    data = tmp_path_factory.mktemp("embed") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1, context=512)
    with ExitStack() as stack:
        app = stack.enter_context(open_app(settings))
        with closing(app.db()) as db:
            create_workspace(db, "site", access="embed")
            set_workspace(db, "site", "max_tokens", "8")
        client = stack.enter_context(TestClient(build_server(app)))
        found = Site(app, client, "")
        found.key = found.made()
        yield found


def test_the_script_is_small_and_for_everybody(site):
    answer = site.client.get("/widget.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert len(answer.content) < 15_000
    for sink in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "document.cookie"):
        for script in UI.glob("*.js"):
            assert sink not in script.read_text(), script


def test_only_the_websites_of_the_key_may_frame_the_page(site):
    page = site.send("")
    parts = page.headers["content-security-policy"].split("; ")
    assert page.status_code == 200
    assert f"frame-ancestors 'self' {SHOP}" in parts
    assert "script-src 'self'" in parts and "style-src 'self'" in parts
    assert "x-frame-options" not in page.headers
    assert "set-cookie" not in page.headers
    with closing(site.app.db()) as db:
        set_workspace(db, "site", "embed_origins", '["https://other.example"]')
    policy = site.send("").headers["content-security-policy"]
    assert policy.endswith(f"frame-ancestors 'self' {SHOP} https://other.example")


def test_the_page_tells_what_the_workspace_says_of_its_assistant(site, tmp_path):
    plain = site.client.get(f"/embed/{site.key}").text
    assert '<html lang="en">' in plain
    assert site.client.get(f"/embed/{site.key}/avatar").status_code == 404
    file = picture(tmp_path / "face.png")
    values = {"assistant_name": 'Til"la', "greeting": "<b>Hello", "starters": '["How \\"long\\"?"]'}
    with closing(site.app.db()) as db:
        for key, value in {**values, "avatar": avatar_as_given(str(file))}.items():
            set_workspace(db, "site", key, value)
    try:
        told = site.client.get(f"/embed/{site.key}").text
        assert 'data-name="Til&quot;la" data-greeting="&lt;b&gt;Hello" data-avatar="' in told
        assert 'data-starters="[&quot;How \\&quot;long\\&quot;?&quot;]"' in told
        answer = site.client.get(f"/embed/{site.key}/avatar")
        assert opened(answer.content).size == (128, 128)
        assert answer.headers["content-type"] == "image/png"
        assert site.client.get("/embed/embed_never/avatar").status_code == 404
    finally:
        with closing(site.app.db()) as db:
            for key, value in dict.fromkeys(values, "").items():
                set_workspace(db, "site", key, "[]" if key == "starters" else value)
            set_workspace(db, "site", "avatar", "")


def test_every_other_page_is_still_framed_by_nobody(site):
    for path in ("/", "/login", "/ui/panel.html", "/widget.js", "/nowhere"):
        headers = site.client.get(path).headers
        assert headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_key_that_opens_nothing_is_404_and_framed_by_nobody(site):
    with closing(site.app.db()) as db:
        members = create_workspace(db, "inside").id
        revoked = site.made()
        revoke_key(db, rows(db, "select name from keys order by id desc")[0]["name"], actor="x")
        api = create_key(db, "program", workspace_id=workspace(db, "site").id, actor="x")[1]
    inside = site.made(workspace_id=members)
    seen = set()
    for key in ("embed_unknown", "x", revoked, api, inside):
        page = site.send("", key=key)
        assert page.status_code == 404
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        for path, body in (("/history", None), ("/ask", {"question": "Hi?"}), ("/feedback", {})):
            answer = site.send(path, body, key=key)
            assert answer.status_code == 404
            seen.add(answer.text)
    assert len(seen) == 1
    with closing(site.app.db()) as db:  # the same key, once its workspace may be shown
        set_workspace(db, "inside", "access", "public")
    assert site.send("", key=inside).status_code == 200


def test_an_answer_comes_in_pieces_and_the_conversation_goes_on(site):
    first = site.ask("How do I return a broken product?")
    assert [event["type"] for event in first][::2][:1] == ["start"]
    assert first[-1]["type"] == "done" and len(first) > 2
    said = "".join(event.get("text", "") for event in first[1:-1])
    assert said.strip() == first[-1]["message"]["text"] == first[-1]["message"]["plain"]
    conversation = first[0]["conversation"]
    site.ask("And without a receipt?", conversation)
    kept = site.send(f"/history?conversation={conversation}").json()
    assert kept == site.send("/history").json()
    assert [entry["role"] for entry in kept["messages"]] == ["user", "assistant"] * 2
    assert kept["messages"][2]["text"] == "And without a receipt?"
    assert site.send("/history?conversation=").json() == {"conversation": "", "messages": []}


def test_a_conversation_is_its_visitors_alone(site):
    mine = site.ask("Where is my blue heron?")
    reply, conversation = mine[-1]["message"]["id"], mine[0]["conversation"]
    strangers = [{"visitor": BOB}, {"key": site.made()}]
    for stranger in strangers:
        assert (
            site.send(f"/history?conversation={conversation}", **stranger).json()["messages"] == []
        )
        for path, body in (
            ("/ask", {"question": "Go on?", "conversation": conversation}),
            ("/ask", {"variant": reply}),
            ("/feedback", {"message": reply, "rating": 1}),
            ("/stop", {"conversation": conversation}),
        ):
            assert site.send(path, body, **stranger).status_code == 404
    with closing(site.app.db()) as db:
        owners = {row["owner"] for row in rows(db, "select owner from conversations")}
    assert all(owner.startswith("visitor:embed-") and ADA not in owner for owner in owners)


@pytest.mark.parametrize("visitor", ["", "short", "x" * 201])
def test_a_visitor_without_a_token_of_its_own_is_told(site, visitor):
    answer = site.send("/history", visitor=visitor)
    assert answer.status_code == 400 and "random text" in answer.json()["error"]


def test_another_websites_page_may_not_ask_for_the_visitor(site):
    for header in ({"Origin": SHOP}, {"Sec-Fetch-Site": "cross-site"}):
        assert site.send("/ask", {"question": "Hi?"}, **header).status_code == 403


def test_a_refused_question_is_an_event_and_leaves_no_conversation(site):
    said = site.ask("word " * 5000, visitor=BOB)
    assert said[-1]["type"] == "error" and "shorten it" in said[-1]["error"]
    assert site.send("/history", visitor=BOB).json()["conversation"] == ""
    assert site.ask(" ", visitor=BOB)[-1]["type"] == "error"


@pytest.mark.parametrize(
    "path, body",
    [
        ("/ask", []),
        ("/ask", {"question": 7}),
        ("/ask", {"question": "Hi?", "conversation": {}}),
        ("/feedback", {"message": [], "rating": 1}),
        ("/feedback", {"message": "x", "rating": 1}),
        ("/stop", {"conversation": "x"}),
    ],
)
def test_junk_is_refused_with_a_sentence(site, path, body):
    answer = site.send(path, body)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"].endswith((".", "page."))


def test_judgements_wait_for_a_reviewer_and_come_back(site):
    conversation = site.ask("What are the opening hours?")[0]["conversation"]
    entry = site.send(f"/history?conversation={conversation}").json()["messages"][-1]
    judged = {"message": entry["id"]}
    again = {**judged, "key": "k" * 32, "correction": "Nine to five.", "comment": "wrong"}
    for body in (
        {**judged, "rating": -1, "key": "1"},
        {**judged, "reasons": ["Wrong", "unheard of"], "key": "2"},
        again,
        again,
    ):
        assert site.send("/feedback", body).status_code == 200
    unchanged = site.send("/feedback", {**judged, "correction": entry["plain"]})
    assert (unchanged.status_code, "change it" in unchanged.json()["error"]) == (400, True)
    for junk in ({"rating": 7}, {"rating": "x"}, {"reasons": 5}, {}):
        assert site.send("/feedback", {**judged, **junk}).status_code == 400
    with closing(site.app.db()) as db:
        waiting = list_feedback(db, workspace(db, "site").id, status="quarantined")
        assert [item.correction for item in waiting] == ["Nine to five.", None, None]
        assert {item.origin for item in waiting} == {"widget"}
        assert waiting[1].reasons == ("Wrong",)
        shown = site.send("/history").json()["messages"][-1]
        assert (shown["rating"], shown["correction"]["status"]) == (-1, "waiting")
        approve(db, waiting[0].id, reviewer="user:1")
    shown = site.send("/history").json()["messages"][-1]
    assert shown["correction"] == {"status": "approved", "text": "Nine to five."}
    served_now = site.ask("What are the opening hours?")[-1]["message"]
    assert (served_now["text"], served_now["end"]) == ("Nine to five.", "override")
    with closing(site.app.db()) as db:
        reject(db, waiting[0].id, reviewer="user:1")


def test_judgements_on_one_answer_end(site):
    reply = site.ask("How many?")[-1]["message"]["id"]
    body = {"message": reply, "rating": 1}
    sent = [site.send("/feedback", body).status_code for _ in range(JUDGED_AT_MOST + 1)]
    assert sent == [200] * JUDGED_AT_MOST + [409]


def test_limits_a_day_hold_for_the_key_and_for_each_visitor(site):
    whole = site.key
    try:
        site.key = site.made(per_day=3, per_visitor=2)
        for visitor in (ADA, ADA, BOB):
            assert site.ask("Hi?", visitor=visitor)[-1]["type"] == "done"
        for visitor in (ADA, BOB):
            over = site.send("/ask", {"question": "Hi?"}, visitor=visitor)
            assert (over.status_code, over.json()["code"]) == (429, "limit")
            assert "answers a day" in over.json()["error"]
        site.key = site.made(per_visitor=1)
        assert site.ask("Hi?")[-1]["type"] == "done"
        assert site.send("/ask", {"question": "Hi?"}).status_code == 429
        assert site.ask("Hi?", visitor=BOB)[-1]["type"] == "done"
    finally:
        site.key = whole


def test_more_than_the_key_may_send_a_minute_is_told_to_wait(site):
    key = site.made(per_minute=1)
    assert site.send("/ask", {"question": "Hi?"}, key=key).status_code == 200
    over = site.send("/feedback", {"message": "x", "rating": 1}, key=key)
    assert (over.status_code, over.json()["code"]) == (429, "busy")
    assert site.send("/history", key=key).status_code == 200


def test_a_reader_who_leaves_or_stops_ends_the_reply(tmp_path, tiny_base):
    settings = read_settings(data=tmp_path / "slow", base_model=str(tiny_base.folder), threads=1)
    app = SlowApp(settings, open_datadir(settings.data))
    with closing(app.db()) as db:
        set_workspace(db, "default", "access", "public")
        made = {"kind": "embed", "workspace_id": 1, "origins": [SHOP], "actor": "x"}
        key = create_key(db, "shop", **made)[1]
    header = {"X-Apprentice-Visitor": ADA}
    with served(app) as url, httpx.Client(base_url=f"{url}/embed/{key}", headers=header) as client:
        question = {"question": "Tell me a long story."}
        with client.stream("POST", "/ask", json=question, timeout=60) as answer:
            lines = answer.iter_lines()
            assert any("word" in line for line in lines)
            assert app.engine.running == 1
        ended(app)
        with client.stream("POST", "/ask", json=question, timeout=60) as answer:
            lines = answer.iter_lines()
            started = json.loads(next(lines)[6:])
            assert any("word" in line for line in lines)
            client.post("/stop", json={"conversation": started["conversation"]})
            last = [line for line in lines if line][-1]
        assert json.loads(last[6:])["message"]["end"] == "interrupted"
    ended(app)
    app.close()


def ended(app):
    end = time.monotonic() + 10
    while app.engine.running and time.monotonic() < end:
        threading.Event().wait(0.02)
    assert app.engine.running == 0
