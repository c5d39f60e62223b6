"""Who corrected an answer is told when that is live."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_layout import lay_out
from assistant.chat_news import shortened
from assistant.chat_page import ChatEvents
from storage.adapters import add_adapter, promote
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.feedback import add_feedback, approve
from storage.records import Inputs, RoundExample
from storage.rounds import create_round
from storage.workspaces import workspace


@pytest.fixture
def page(app):
    with gr.Blocks():
        parts = lay_out()
    return ChatEvents(app, parts), parts


def corrected(app, caller) -> tuple[str, int]:
    """A corrected answer: the ids of its conversation and of the correction, not yet approved."""
    with closing(app.db()) as db:
        said = start_conversation(db, workspace(db, "open").id, caller.person.owner)
        asked = add_message(db, said.id, "user", "How long?")
        answer = add_message(
            db,
            said.id,
            "assistant",
            "30 days.",
            parent_id=asked.id,
            inputs=Inputs("How long?", "", 1),
        )
        given = add_feedback(
            db,
            message_id=answer.id,
            origin="staff",
            contributor=caller.person.owner,
            correction="45 days.",
        )
    return said.id, given.id


def taught(app, feedback_id: int) -> int:
    """The id of an adapter that serves and was taught this."""
    with closing(app.db()) as db, write_transaction(db):
        place = workspace(db, "open").id
        example = RoundExample(0, "correction", "train", feedback_id, "g", "h")
        queued = create_round(db, place, config={}, base_fingerprint="f", examples=[example])
        made = add_adapter(
            db,
            place,
            round_id=queued.id,
            parent_id=None,
            base_fingerprint="f",
            method="qlora",
            manifest_hash="m",
        )
        promote(db, made.id, actor="user:1", override_reason="a test")
    return made.id


def told(page, caller, **address) -> str:
    events, parts = page
    shown = events.load(caller.request(workspace="open", **address))
    if address:
        return shown[parts.talk.chat]["value"][1]["content"][1]["text"]
    return shown[parts.talk.told]["value"]


def test_first_that_it_is_approved_then_in_which_version_it_is(app, page, people):
    mo = people["mo"]
    conversation, given = corrected(app, mo)
    assert told(page, mo) == ""
    with closing(app.db()) as db:
        approve(db, given, reviewer="user:1")
    assert "Your correction of “How long?” was approved: ask again." in told(page, mo)
    assert "is the answer from now on" in told(page, mo, conversation=conversation)
    version = taught(app, given)
    assert f"is part of version {version}: ask again." in told(page, mo)
    assert f"is part of version {version}; ask again" in told(page, mo, conversation=conversation)
    assert told(page, people["rita"]) == told(page, people["visitor"]) == ""


def test_old_news_is_no_news(app, page, people):
    mo = people["mo"]
    _, given = corrected(app, mo)
    with closing(app.db()) as db:
        approve(db, given, reviewer="user:1")
        with write_transaction(db):
            write(db, "update feedback set reviewed_at = '2020-01-01T00:00:00.000Z'")
    assert told(page, mo) == ""


def test_a_long_question_is_cut():
    assert shortened("a  b\nc") == "a b c"
    assert len(shortened("word " * 50)) <= 80
