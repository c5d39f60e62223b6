"""Deleting one's own conversation: asked for on the page, decided elsewhere, told on the page."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_erasure import ErasureEvents
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View
from assistant.erasure import approve, erase
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.erasure_requests import list_requests, refuse_request
from storage.feedback import add_feedback
from storage.records import Inputs
from storage.workspaces import workspace


@pytest.fixture
def page(app):
    with gr.Blocks():
        parts = lay_out()
    talk = ChatEvents(app, parts)
    return ErasureEvents(app, parts, talk.draw), talk, parts


@pytest.fixture
def talk_of(app, people):
    """Makes a conversation of somebody's in `open`, with a correction in it."""

    def made(who: str) -> View:
        owner = people[who].person.owner
        with closing(app.db()) as db:
            said = start_conversation(db, workspace(db, "open").id, owner)
            asked = add_message(db, said.id, "user", "How long is the heron kept?")
            inputs = Inputs("How long is the heron kept?", "", 1)
            answer = add_message(
                db, said.id, "assistant", "30 days.", parent_id=asked.id, inputs=inputs
            )
            add_feedback(
                db,
                message_id=answer.id,
                origin="widget",
                contributor=owner,
                correction="The heron is kept for 45 days.",
            )
        return View("open", said.id, (asked.id, answer.id))

    return made


def waiting(app):
    with closing(app.db()) as db:
        return list_requests(db)


def opened(talk, caller, view=None):
    """What the page shows at the conversation's address, or at the bare one."""
    address = {"conversation": view.conversation} if view else {}
    return talk.load(caller.request(workspace="open", **address))


def test_asking_twice_is_one_request_and_the_page_says_what_comes_next(app, page, people, talk_of):
    events, talk, parts = page
    who, view = people["visitor"], talk_of("visitor")
    assert opened(talk, who, view)[parts.side.erase]["visible"] is True
    assert events.ask(view, who.request())[parts.erase.whole]["visible"] is True
    assert waiting(app) == []
    for _ in range(2):
        shown = events.file(view, who.request())
    assert shown[parts.erase.whole]["visible"] is False
    assert "until an admin agrees" in shown[parts.talk.told]["value"]
    assert shown[parts.side.erase]["visible"] is False
    (asked,) = waiting(app)
    assert (asked.kind, asked.subject) == ("conversation", view.conversation)
    assert asked.requester == who.person.owner


def test_after_the_yes_the_address_and_the_empty_page_say_what_was_done(app, page, people, talk_of):
    events, talk, parts = page
    who, view = people["visitor"], talk_of("visitor")
    events.file(view, who.request())
    approve(app, waiting(app)[0].id, actor="user:1")
    for shown in (opened(talk, who, view), opened(talk, who)):
        assert "Your conversation was deleted on " in shown[parts.talk.told]["value"]
        assert "No model had learned from it." in shown[parts.talk.told]["value"]
        assert shown[parts.talk.problem]["visible"] is False
        assert shown[parts.side.recent]["choices"] == []
        assert shown[parts.side.erase]["visible"] is False
    with closing(app.db()) as db, write_transaction(db):
        write(db, "update erasure_requests set decided_at = '2025-01-01T00:00:00.000Z'")
    assert opened(talk, who)[parts.talk.told]["visible"] is False
    assert "deleted on 2025-01-01" in opened(talk, who, view)[parts.talk.told]["value"]


def test_a_no_is_said_and_may_be_asked_again(app, page, people, talk_of):
    events, talk, parts = page
    who, view = people["mo"], talk_of("mo")
    events.file(view, who.request())
    with closing(app.db()) as db:
        refuse_request(db, waiting(app)[0].id, actor="user:1")
    shown = opened(talk, who, view)
    assert "not to delete this conversation" in shown[parts.talk.told]["value"]
    assert shown[parts.side.erase]["visible"] is True
    events.file(view, who.request())
    assert len(waiting(app)) == 1


def test_only_ones_own_is_asked_for_and_told_of(app, page, people, talk_of):
    events, talk, parts = page
    view = talk_of("mo")
    for who in people:
        if who != "mo":
            for attempt in (events.ask, events.file):
                with pytest.raises(gr.Error):
                    attempt(view, people[who].request())
    assert waiting(app) == []
    events.file(view, people["mo"].request())
    approve(app, waiting(app)[0].id, actor="user:1")
    for address in (view, None):
        assert opened(talk, people["visitor"], address)[parts.talk.told]["visible"] is False
    stranger = opened(talk, people["visitor"], view)
    assert "no such conversation" in stranger[parts.talk.problem]["value"]


def test_what_an_admin_erased_unasked_is_simply_not_there(app, page, people, talk_of):
    _, talk, parts = page
    view = talk_of("mo")
    erase(app, "conversation", view.conversation, actor="user:1")
    shown = opened(talk, people["mo"], view)
    assert "no such conversation" in shown[parts.talk.problem]["value"]
    assert shown[parts.talk.told]["visible"] is False


def test_a_conversation_of_which_nothing_was_said_goes_at_once(app, page, people, talk_of):
    events, _, parts = page
    who = people["visitor"]
    with closing(app.db()) as db:
        place = workspace(db, "open").id
        said = start_conversation(db, place, who.person.owner)
        add_message(db, said.id, "user", "Who is there?")
    view = View("open", said.id)
    assert "at once" in events.ask(view, who.request())[parts.erase.text]["value"]
    assert (
        "admin has to agree"
        in (events.ask(talk_of("visitor"), who.request())[parts.erase.text]["value"])
    )
    for other in ("mo", "other visitor", "ada", "anonymous"):
        with pytest.raises(gr.Error):
            events.file(view, people[other].request())
    shown = events.file(view, who.request())
    assert "is deleted" in shown[parts.talk.told]["value"]
    assert shown[parts.view] == View("open")
    assert said.id not in [key for _, key in shown[parts.side.recent]["choices"]]
    assert waiting(app) == []
    with pytest.raises(gr.Error, match="no such conversation"):
        events.file(view, who.request())
