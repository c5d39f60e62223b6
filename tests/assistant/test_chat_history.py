"""One's own conversations on the chat page, and nobody else's."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_history import HistoryEvents
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View
from storage.conversations import (
    add_message,
    conversation,
    messages_of,
    open_thread,
    start_conversation,
)
from storage.workspaces import workspace


@pytest.fixture
def page(app):
    with gr.Blocks():
        parts = lay_out()
    talk = ChatEvents(app, parts)
    return HistoryEvents(app, parts, talk.draw), talk, parts


@pytest.fixture
def view(app, people):
    """A conversation of mo's: a question, two tries at its answer, and the question put anew."""
    with closing(app.db()) as db:
        said = start_conversation(db, workspace(db, "open").id, people["mo"].person.owner)
        asked = add_message(db, said.id, "user", "Where is the heron?")
        first = add_message(db, said.id, "assistant", "By the pond.", parent_id=asked.id)
        again = add_message(
            db, said.id, "assistant", "In the reeds.", parent_id=asked.id, variant_of=first.id
        )
    return View("open", said.id, (asked.id, again.id, first.id))


def found(events, parts, request, text):
    shown = events.find(text, View("open"), request)
    assert shown[parts.side.nothing]["visible"] is (not shown[parts.side.recent]["choices"])
    return [label for label, _ in shown[parts.side.recent]["choices"]]


def test_the_search_looks_into_ones_own_conversations_alone(page, people, view):
    events, _, parts = page
    for text in ("heron", "POND", ""):
        assert found(events, parts, people["mo"].request(), text) == ["Where is the heron?"]
    assert found(events, parts, people["mo"].request(), "pumps") == []
    for who in ("rita", "visitor", "ada"):
        assert found(events, parts, people[who].request(), "heron") == []


def test_a_conversation_is_renamed_and_an_empty_name_gets_a_sentence(app, page, people, view):
    events, _, parts = page
    request = people["mo"].request()
    asked = events.ask_name(view, request)
    assert asked[parts.naming.text]["value"] == "Where is the heron?"
    refused = events.save_name("  ", view, request)
    assert "name is empty" in refused[parts.naming.problem]["value"]
    for _ in range(2):
        shown = events.save_name(" Herons\n ", view, request)
    assert shown[parts.side.recent]["choices"] == [("Herons", view.conversation)]
    assert shown[parts.naming.whole]["visible"] is False


def test_the_other_try_is_offered_and_shown_when_it_is_chosen(app, page, people, view):
    events, talk, parts = page
    request = people["mo"].request(workspace="open", conversation=view.conversation)
    asked, again, first = view.ids
    shown = talk.load(request)
    last = shown[parts.talk.chat]["value"][-1]
    assert last["content"][0]["text"] == "In the reeds."
    assert "Answer 2 of 2." in last["content"][1]["text"]
    assert last["options"] == [{"value": first, "label": "Show answer 1 of 2"}]
    event = gr.SelectData(None, {"index": 0, "value": first})
    chosen = events.choose(shown[parts.view], request, event)
    assert chosen[parts.view].ids == (asked, first)
    assert talk.load(request)[parts.view].ids == (asked, first)


def undone(index) -> gr.UndoData:
    return gr.UndoData(None, {"index": index, "value": "forged"})


def test_the_last_turn_is_taken_back_and_nothing_is_deleted(app, page, people, view):
    events, talk, parts = page
    request = people["mo"].request(workspace="open", conversation=view.conversation)
    with closing(app.db()) as db:
        asked = add_message(db, view.conversation, "user", "And now?", parent_id=view.ids[1])
        add_message(db, view.conversation, "assistant", "Gone.", parent_id=asked.id)
    shown = events.undo(" please ", talk.load(request)[parts.view], request, undone(2))
    assert shown[parts.talk.box]["value"] == "And now?\nplease"
    assert talk.load(request)[parts.view].ids == shown[parts.view].ids == view.ids[:2]
    empty = events.undo("", shown[parts.view], request, undone(0))
    assert empty[parts.talk.box]["value"] == "Where is the heron?"
    assert (empty[parts.view].conversation, empty[parts.view].ids) == ("", ())
    assert empty[parts.side.recent]["choices"] == [("Where is the heron?", view.conversation)]
    with closing(app.db()) as db:
        assert len(messages_of(db, view.conversation)) == 5
    with pytest.raises(gr.Error):  # a reply is no question
        events.undo("", view, request, undone(1))


def test_nobody_else_names_chooses_or_takes_back(app, page, people, view):
    events, _, _ = page
    event = gr.SelectData(None, {"index": 0, "value": view.ids[2]})
    for who in people:
        if who == "mo":
            continue
        request = people[who].request(workspace="open", conversation=view.conversation)
        for attempt in (
            lambda request: events.ask_name(view, request),
            lambda request: events.save_name("Mine", view, request),
            lambda request: events.choose(view, request, event),
            lambda request: events.undo("", view, request, undone(0)),
        ):
            with pytest.raises(gr.Error):
                attempt(request)
    with closing(app.db()) as db:
        assert conversation(db, view.conversation).title == "Where is the heron?"
        assert open_thread(db, view.conversation)[-1].content == "In the reeds."
