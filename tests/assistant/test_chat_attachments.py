"""The addresses for files: members alone, in their own conversations, within limits."""

import tempfile
from contextlib import closing
from pathlib import Path

import gradio as gr
import pytest
from starlette.testclient import TestClient

from assistant.attaching import ATTACHMENT_BYTES
from assistant.chat_attachments import AttachmentEvents, files_line
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View, visit
from assistant.web import build_server
from storage.attachments import attachments_of
from storage.conversations import conversation, start_conversation
from storage.database import rows
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import others

TEXT = b"# Lease\n\nEleven weeks."


@pytest.fixture
def send(app, people):
    client = TestClient(build_server(app))

    def call(who, method="POST", path="/files", body=TEXT, language="en", headers=(), **asked):
        cookie = "; ".join(f"{name}={value}" for name, value in people[who].cookies.items())
        headers = {"cookie": cookie, "accept-language": language, **dict(headers)}
        return client.request(method, path, params=asked, content=body, headers=headers)

    return call


def given(app):
    with closing(app.db()) as db:
        return rows(db, "select * from attachments"), rows(db, "select * from conversations")


def test_a_member_gives_and_takes_away(app, people, send, db):
    before = set(Path(tempfile.gettempdir()).glob("attached-*"))
    answer = send("mo", workspace="team", name="lease.md", size=len(TEXT))
    assert answer.status_code == 200
    known = conversation(db, answer.json()["conversation"])
    assert (known.owner, known.title) == (people["mo"].person.owner, "lease.md")
    again = send("mo", workspace="team", conversation=known.id, name="b.txt")
    assert again.json() == {"conversation": known.id, "name": "b.txt"}
    first, second = attachments_of(db, known.id)
    for who in others(people):
        refused = send(who, "DELETE", f"/files/{first.id}", b"")
        never = send(who, "DELETE", "/files/999", b"")
        assert (refused.status_code, never.status_code) == (404, 404)
        assert refused.text.replace(str(first.id), "999") == never.text
    assert send("mo", "DELETE", f"/files/{first.id}", b"").status_code == 200
    assert attachments_of(db, known.id) == [second]
    assert set(Path(tempfile.gettempdir()).glob("attached-*")) == before


def test_nobody_else_gives_anything(app, people, send, db):
    with closing(app.db()) as db:
        theirs = start_conversation(db, workspace(db, "team").id, people["mo"].person.owner).id
    asked = {"name": "a.md", "size": 5}
    for who in ("anonymous", "visitor"):
        for name in ("open", "team", "site"):
            assert send(who, workspace=name, **asked).status_code == 400
    assert send("nell", workspace="team", **asked).status_code == 400
    for who in others(people):
        if people[who].person.kind == "user":
            assert send(who, workspace="open", conversation=theirs, **asked).status_code == 404
    assert send("ada", workspace="team", conversation=theirs, **asked).status_code == 404
    foreign = send("mo", workspace="team", headers={"sec-fetch-site": "cross-site"}, **asked)
    assert foreign.status_code == 403
    assert given(app)[0] == [] and len(given(app)[1]) == 1


def test_what_is_too_large_is_refused_before_or_while_it_comes(app, send):
    said = send("mo", workspace="team", name="a.md", size=500_000_000, body=b"", language="de")
    assert said.json()["error"].startswith("„a.md“ hat 500 MB")
    announced = send("mo", workspace="team", name="a.md", body=b"x" * (ATTACHMENT_BYTES + 1))
    assert announced.status_code == 413
    for asked in ({"name": "a.exe"}, {"name": "a.md", "size": 0}, {"name": ""}):
        assert send("mo", workspace="team", **asked).status_code == 400
    empty = send("mo", workspace="team", name="a.md", size=7, body=b"")
    assert empty.json() == {"error": "“a.md” is empty."}
    assert given(app) == ([], [])


def test_the_page_shows_them_to_their_owner(app, people, send, db):
    with gr.Blocks():
        parts = lay_out()
    talk = ChatEvents(app, parts)
    events = AttachmentEvents(app, parts, talk.opened)
    name = "a <b>bold</b>.md"
    made = send("mo", workspace="team", name=name).json()["conversation"]
    shown = events.changed(made, View("team"), people["mo"].request())
    assert shown[parts.view].conversation == made
    assert "a &lt;b&gt;bold&lt;/b&gt;.md" not in name
    assert "b&gt;.md" in shown[parts.talk.files] and "<b>" not in shown[parts.talk.files]
    assert shown[parts.talk.attach]["visible"] is True
    assert events.changed(made, View("team", "0" * 32), people["mo"].request()) == {}
    for who in others(people):
        with pytest.raises(gr.Error):
            events.changed(made, View("team"), people[who].request())
    with visit(app, people["visitor"].request(), "open") as caller:
        line = files_line(parts, caller, "")
        assert line[parts.talk.attach]["visible"] is False and "file-most" not in str(line)
    set_workspace(db, "team", "attachment_tokens", "0")
    assert send("mo", workspace="team", name="b.md").status_code == 400
    with visit(app, people["mo"].request(), "team") as caller:
        assert files_line(parts, caller, made)[parts.talk.attach]["visible"] is False


def test_the_export_has_them(app, people, send):
    made = send("mo", workspace="team", name="lease.md").json()["conversation"]
    facts = send("mo", "GET", f"/conversations/{made}.json", b"").json()
    assert [(one["name"], one["text"]) for one in facts["files"]] == [
        ("lease.md", "Lease\nEleven weeks.")
    ]
    assert "Files: lease.md" in send("mo", "GET", f"/conversations/{made}.md", b"").text
    assert send("nell", "GET", f"/conversations/{made}.json", b"").status_code == 404
