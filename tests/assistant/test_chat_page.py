"""The chat page's events on a real (tiny) model: what is shown is what is stored."""

from contextlib import closing
from itertools import pairwise

import gradio as gr
import pytest

from assistant.app import App
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents, build_chat_page
from assistant.chat_visit import View
from storage.conversations import (
    list_conversations,
    messages_of,
    start_conversation,
)
from storage.database import rows
from storage.feedback import add_feedback, approve
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import everybody, others
from tests.assistant.streamed import drive


@pytest.fixture
def people(app):
    with closing(app.db()) as db:
        found = everybody(app)
        set_workspace(db, "open", "max_tokens", "8")
    return found


@pytest.fixture
def page(app):
    """The events of a page, and what they say about its parts."""
    with gr.Blocks():
        parts = lay_out()
    return ChatEvents(app, parts), parts


def ask(page, caller, question="How do I return it?", view=None):
    events, _ = page
    return drive(events.send(question, view or View("open"), caller.request()))


def texts(shown, part) -> list[str]:
    update = shown[part]
    told = update if isinstance(update, list) else update["value"]
    return [item["content"][0]["text"] for item in told]


def counted(app, table: str) -> int:
    with closing(app.db()) as db:
        return rows(db, f"select count(*) as count from {table}")[0]["count"]


def test_a_question_is_answered_and_both_are_kept(app, page, people):
    _, parts = page
    shown = ask(page, people["mo"])
    view = shown[parts.view]
    with closing(app.db()) as db:
        stored = messages_of(db, view.conversation)
    assert view.ids == tuple(item.id for item in stored)
    assert texts(shown, parts.talk.chat) == [item.content for item in stored]
    assert shown[parts.talk.box]["submit_btn"] is True
    assert shown[parts.talk.box]["value"] == ""
    assert view.conversation in shown[parts.talk.address]
    assert (stored[0].content, shown[parts.side.recent]["value"]) == (
        shown[parts.side.recent]["choices"][0][0],
        view.conversation,
    )


def test_the_reply_comes_in_pieces_behind_a_stop_button(app, page, people):
    events, parts = page
    states = list(events.send("How?", View("open"), people["mo"].request()))
    assert states[0][parts.talk.box]["stop_btn"] is True
    assert states[0][parts.view].conversation in states[0][parts.talk.address]
    assert texts(states[0], parts.talk.chat) == ["How?"]
    said = [texts(state, parts.talk.chat)[1] for state in states[1:-1]]
    assert said and all(later.startswith(earlier) for earlier, later in pairwise(said))


def test_a_second_question_goes_on_in_the_same_conversation(page, people):
    _, parts = page
    first = ask(page, people["mo"])[parts.view]
    second = ask(page, people["mo"], "And then?", first)[parts.view]
    assert second.conversation == first.conversation
    assert second.ids[:2] == first.ids
    assert len(second.ids) == 4


def test_after_a_restart_an_open_page_goes_on_where_it_was(app, page, people):
    _, parts = page
    first = ask(page, people["mo"])[parts.view]
    request = people["mo"].request(workspace="open", conversation=first.conversation)
    second = drive(page[0].send("And then?", View(), request))[parts.view]
    assert second.conversation == first.conversation
    assert second.ids[:2] == first.ids
    stranger = people["nell"].request(workspace="open", conversation=first.conversation)
    with pytest.raises(gr.Error, match="no such conversation"):
        drive(page[0].send("And then?", View(), stranger))


def test_a_question_that_is_changed_is_asked_in_place_of_the_old_one(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = ask(page, mo, "And then?", ask(page, mo)[parts.view])[parts.view]
    edit = gr.EditData(None, {"index": 0, "previous_value": "forged", "value": "How soon?"})
    shown = drive(events.edit(view, mo.request(), edit))
    changed = shown[parts.view]
    assert texts(shown, parts.talk.chat)[0] == "How soon?"
    assert len(changed.ids) == 2 and changed.conversation == view.conversation
    with closing(app.db()) as db:
        stored = {item.id: item for item in messages_of(db, view.conversation)}
    assert set(view.ids) < set(stored)
    assert stored[changed.ids[0]].variant_of == view.ids[0]
    assert stored[changed.ids[1]].inputs.history == ()
    offered = shown[parts.talk.chat]["value"][-1]["options"]
    assert offered == [{"value": view.ids[0], "label": "Back to “How do I return it?”"}]


def test_only_ones_own_question_is_changed(app, page, people):
    events, parts = page
    theirs = ask(page, people["rita"])[parts.view]
    mine = ask(page, people["mo"])[parts.view]
    before = counted(app, "messages")
    for view, index in (
        (View("open", mine.conversation, theirs.ids), 0),  # of somebody else
        (mine, 1),  # a reply
        (mine, 2),  # nothing
    ):
        edit = gr.EditData(None, {"index": index, "previous_value": "", "value": "Mine?"})
        with pytest.raises(gr.Error):
            drive(events.edit(view, people["mo"].request(), edit))
    assert counted(app, "messages") == before


def test_a_changed_question_that_cannot_be_asked_goes_into_the_box(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = ask(page, mo)[parts.view]
    edit = gr.EditData(None, {"index": 0, "previous_value": "", "value": "word " * 5000})
    shown = drive(events.edit(view, mo.request(), edit))
    assert shown[parts.talk.box]["value"].startswith("word word")
    assert "shorten it" in shown[parts.talk.problem]["value"]
    assert shown[parts.view].ids == view.ids


@pytest.mark.parametrize("question", ["", "  \n ", None])
def test_an_empty_question_gets_a_sentence_and_leaves_nothing(app, page, people, question):
    _, parts = page
    shown = ask(page, people["mo"], question)
    assert "Type a question first." in shown[parts.talk.problem]["value"]
    assert parts.talk.box not in shown
    assert counted(app, "conversations") == counted(app, "messages") == 0


def test_a_question_too_long_gets_a_sentence_and_stays_in_the_box(app, page, people):
    _, parts = page
    question = "why " * 3000
    shown = ask(page, people["mo"], question)
    assert "shorten" in shown[parts.talk.problem]["value"]
    assert shown[parts.talk.box]["value"] == question
    assert shown[parts.talk.box]["submit_btn"] is True
    assert counted(app, "conversations") == counted(app, "messages") == 0


def test_a_question_too_long_does_not_hurt_the_conversation(app, page, people):
    _, parts = page
    view = ask(page, people["mo"])[parts.view]
    shown = ask(page, people["mo"], "why " * 3000, view)
    assert shown[parts.view].ids == view.ids
    assert shown[parts.talk.box]["value"].startswith("why why")


def test_retry_answers_again_and_keeps_the_first_try(app, page, people):
    events, parts = page
    view = ask(page, people["mo"])[parts.view]
    event = gr.RetryData(None, {"index": 0, "value": "How do I return it?"})
    again = drive(events.retry(view, people["mo"].request(), event))[parts.view]
    assert again.ids[0] == view.ids[0]
    assert again.ids[1] != view.ids[1]
    with closing(app.db()) as db:
        stored = {item.id: item for item in messages_of(db, view.conversation)}
    assert stored[again.ids[1]].variant_of == view.ids[1]
    assert set(view.ids) < set(stored)


def test_an_approved_correction_answers_and_says_so(app, page, people):
    _, parts = page
    view = ask(page, people["mo"])[parts.view]
    with closing(app.db()) as db:
        given = add_feedback(
            db,
            message_id=view.ids[1],
            origin="staff",
            contributor="user:1",
            correction="In 45 days.",
        )
        approve(db, given.id, reviewer="user:1")
    shown = ask(page, people["rita"])
    assert texts(shown, parts.talk.chat)[1] == "In 45 days."
    assert "approved correction" in shown[parts.talk.chat]["value"][1]["content"][1]["text"]


def test_everything_is_there_again_after_a_restart(app, page, people):
    _, parts = page
    said = ask(page, people["mo"])
    with gr.Blocks():
        later_parts = lay_out()
    later = ChatEvents(App(app.settings, app.datadir), later_parts)
    request = people["mo"].request(workspace="open", conversation=said[parts.view].conversation)
    shown = later.load(request)
    assert shown[later_parts.view].ids == said[parts.view].ids
    assert texts(shown, later_parts.talk.chat) == texts(said, parts.talk.chat)


def test_a_new_chat_is_empty_and_the_old_one_can_be_opened(page, people):
    events, parts = page
    view = ask(page, people["mo"])[parts.view]
    fresh = events.new_chat(view, people["mo"].request())
    assert fresh[parts.view] == View("open")
    assert fresh[parts.side.recent]["choices"][0][1] == view.conversation
    opened = events.open(view.conversation, fresh[parts.view], people["mo"].request())
    assert opened[parts.view].ids == view.ids


def test_nobody_else_reads_or_continues_a_conversation(app, page, people):
    events, parts = page
    view = ask(page, people["mo"])[parts.view]
    before = counted(app, "messages"), counted(app, "conversations")
    retry = gr.RetryData(None, {"index": 0, "value": ""})
    for who in others(people):
        request = people[who].request(workspace="open", conversation=view.conversation)
        for attempt in (
            lambda request: events.open(view.conversation, View("open"), request),
            lambda request: drive(events.send("And?", view, request)),
            lambda request: drive(events.retry(view, request, retry)),
            lambda request: events.stop(view, request),
        ):
            with pytest.raises(gr.Error):
                attempt(request)
        if who != "anonymous":
            loaded = events.load(request)
            assert loaded[parts.view] == View("open")
            assert "no such conversation" in loaded[parts.talk.problem]["value"]
            assert loaded[parts.side.recent]["choices"] == []
    assert (counted(app, "messages"), counted(app, "conversations")) == before


def test_a_view_of_a_workspace_one_may_not_use_is_not_believed(app, page, people):
    events, _ = page
    for name in ("team", "site", "default", "nothing"):
        with pytest.raises(gr.Error, match="nothing here for you"):
            drive(events.send("How?", View(name), people["visitor"].request()))
        with pytest.raises(gr.Error):
            events.change_workspace(name, people["visitor"].request())
    assert counted(app, "conversations") == 0


def test_retry_of_a_forged_reply_is_refused(app, page, people):
    events, parts = page
    theirs = ask(page, people["rita"])[parts.view]
    mine = ask(page, people["mo"])[parts.view]
    forged = View("open", mine.conversation, theirs.ids)
    event = gr.RetryData(None, {"index": 0, "value": ""})
    before = counted(app, "messages")
    with pytest.raises(gr.Error):
        drive(events.retry(forged, people["mo"].request(), event))
    assert counted(app, "messages") == before


def test_the_side_shows_what_each_may(app, page, people):
    events, parts = page
    for who, admin, places in (("visitor", False, 1), ("mo", False, 2), ("rita", True, 3)):
        shown = events.load(people[who].request(workspace="open"))
        assert shown[parts.side.admin]["visible"] is admin
        assert len(shown[parts.side.workspace]["choices"]) == places
        assert shown[parts.side.account]["link"] == ("/login" if who == "visitor" else "/logout")


def test_starters_stand_on_the_empty_page(app, page, people):
    events, parts = page
    with closing(app.db()) as db:
        set_workspace(db, "open", "starters", '["What can I ask?"]')
    shown = events.load(people["mo"].request(workspace="open"))
    assert shown[parts.talk.chat]["examples"] == [{"text": "What can I ask?"}]
    event = gr.SelectData(None, {"index": 0, "value": {"text": "What can I ask?"}})
    asked = drive(events.send_starter(View("open"), people["mo"].request(), event))
    assert texts(asked, parts.talk.chat)[0] == "What can I ask?"


def test_a_conversation_of_one_workspace_is_not_listed_in_another(app, page, people):
    events, parts = page
    ask(page, people["mo"])
    shown = events.change_workspace("team", people["mo"].request())
    assert shown[parts.side.recent]["choices"] == []
    with closing(app.db()) as db:
        listed = list_conversations(db, workspace(db, "open").id, people["mo"].person.owner)
    assert len(listed) == 1


def test_a_fault_ends_the_reply_with_a_sentence_and_a_ready_box(app, page, people, caplog):
    _, parts = page
    app.engine.close()
    shown = ask(page, people["mo"])
    assert shown[parts.talk.box]["submit_btn"] is True
    assert shown[parts.talk.problem]["visible"] is True


def test_the_page_says_nothing_before_it_knows_who_asks(app, people):
    with closing(app.db()) as db:
        start_conversation(db, workspace(db, "team").id, "user:1", "A secret title")
        set_workspace(db, "team", "starters", '["A secret starter"]')
    config = str(build_chat_page(app).get_config_file())
    for secret in ("A secret title", "A secret starter", "'team'"):
        assert secret not in config
