"""One's own conversation as a file; nobody else's."""

from contextlib import closing

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assistant.chat_export import export_address, export_routes
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback
from storage.records import Inputs, Passage
from storage.workspaces import set_workspace, workspace


@pytest.fixture
def said(app, people):
    """The id of a conversation of mo's, with a source and a correction."""
    source = Passage(1, 1, "herons.md", "Herons stand in ponds.", "h", 0.9)
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace(db, "team").id, people["mo"].person.owner)
        asked = add_message(db, talk.id, "user", "Where is the héron?")
        answer = add_message(
            db,
            talk.id,
            "assistant",
            "By the **pond**.",
            parent_id=asked.id,
            inputs=Inputs("Where is the héron?", "", 1, passages=(source,)),
        )
        add_feedback(
            db, message_id=answer.id, origin="staff", contributor="user:1", correction="In it."
        )
    return talk.id


@pytest.fixture
def fetch(app, people):
    client = TestClient(Starlette(routes=export_routes(app)))

    def get(who: str, conversation_id: str, form: str):
        cookie = "; ".join(f"{name}={value}" for name, value in people[who].cookies.items())
        return client.get(export_address(conversation_id, form), headers={"cookie": cookie})

    return get


def test_markdown_is_to_be_read(fetch, said):
    answer = fetch("mo", said, "md")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/markdown")
    assert 'filename="Where-is-the-h-ron.md"' in answer.headers["content-disposition"]
    parts = answer.text.split("\n\n")
    assert parts[0] == "# Where is the héron?"
    assert parts[2:6] == ["**You**", "Where is the héron?", "**Apprentice**", "By the **pond**."]
    assert parts[6].strip() == "Sources: [1] herons.md"


def test_json_has_sources_and_corrections(fetch, said):
    facts = fetch("mo", said, "json").json()
    assert (facts["id"], facts["workspace"]) == (said, "team")
    asked, answer = facts["messages"]
    assert (asked["role"], asked["content"]) == ("user", "Where is the héron?")
    assert answer["correction"] == "In it."
    assert answer["sources"] == [{"document": "herons.md", "text": "Herons stand in ponds."}]


def test_anybody_else_gets_what_they_get_for_one_that_never_was(app, fetch, said, people):
    for who in people:
        if who != "mo":
            for form in ("md", "json"):
                got, never = fetch(who, said, form), fetch(who, "0" * 32, form)
                assert (got.status_code, got.text) == (404, never.text)
    with closing(app.db()) as db:  # mo is no member of `site`
        set_workspace(db, "team", "access", "embed")
        db.execute("delete from memberships")
        db.conn.commit()
    assert fetch("mo", said, "md").status_code == 404
