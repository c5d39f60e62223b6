"""Replies of the chat page that do not reach their end, on an engine that never ends one."""

import time
from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View
from storage.conversations import delete_conversation, messages_of
from tests.assistant.people import others
from tests.assistant.slow_engine import SlowApp
from tests.assistant.streamed import drive


@pytest.fixture
def slow_page(app):
    """A page whose replies go on until they are stopped."""
    slow = SlowApp(app.settings, app.datadir)
    with gr.Blocks():
        parts = lay_out()
    yield ChatEvents(slow, parts), parts, slow
    slow.close()


def until_finished(app, conversation_id):
    """The conversation's reply once its row says how it ended."""
    end = time.monotonic() + 60
    with closing(app.db()) as db:
        while time.monotonic() < end:
            reply = messages_of(db, conversation_id)[-1]
            if reply.finish_reason is not None:
                return reply
            time.sleep(0.02)
    raise AssertionError("the reply was never finished")


def test_a_reader_who_leaves_stops_the_engine_and_the_reply_is_marked(slow_page, people):
    events, parts, slow = slow_page
    stream = events.send("Tell me everything.", View("open"), people["mo"].request())
    view = next(stream)[parts.view]
    next(stream)
    assert slow.engine.running == 1
    stream.close()
    reply = until_finished(slow, view.conversation)
    assert reply.finish_reason == "interrupted"
    assert reply.content.startswith("word")
    assert slow.engine.running == 0


def test_while_a_reply_is_made_its_conversation_takes_no_second_question(slow_page, people):
    events, parts, slow = slow_page
    mo = people["mo"]
    stream = events.send("Tell me everything.", View("open"), mo.request())
    view = next(stream)[parts.view]
    with pytest.raises(gr.Error, match="wait for it, or stop it"):
        next(events.send("Tell me everything.", view, mo.request()))
    events.stop(view, mo.request())
    assert len(drive(stream)[parts.view].ids) == 2


def test_stop_ends_ones_own_reply_and_nobody_elses(slow_page, people):
    events, parts, slow = slow_page
    stream = events.send("Tell me everything.", View("open"), people["mo"].request())
    view = next(stream)[parts.view]
    next(stream)
    for who in others(people):
        with pytest.raises(gr.Error):
            events.stop(view, people[who].request())
    next(stream)
    assert slow.engine.running == 1
    events.stop(view, people["mo"].request())
    shown = drive(stream)
    assert "Stopped before the end." in shown[parts.talk.chat]["value"][1]["content"][1]["text"]
    assert shown[parts.talk.box]["submit_btn"] is True
    assert slow.engine.running == 0


def test_a_conversation_that_is_deleted_while_it_is_answered_ends_on_an_empty_page(
    slow_page, people
):
    events, parts, slow = slow_page
    mo = people["mo"]
    stream = events.send("Tell me everything.", View("open"), mo.request())
    view = next(stream)[parts.view]
    next(stream)
    with closing(slow.db()) as db:
        delete_conversation(db, view.conversation)
    events._streams.stop(view.conversation)
    shown = drive(stream)
    assert shown[parts.view] == View("open", notices=shown[parts.view].notices)
    assert shown[parts.talk.box]["submit_btn"] is True
