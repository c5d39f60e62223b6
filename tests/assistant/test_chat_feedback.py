"""Thumbs, reasons and corrections on the chat page, and only for one's own replies."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_feedback import FeedbackEvents
from assistant.chat_layout import Target, lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import View
from assistant.chat_words import ENGLISH
from storage.conversations import add_message, start_conversation
from storage.feedback import approve, list_feedback
from storage.records import Inputs
from storage.workspaces import workspace


@pytest.fixture
def page(app):
    with gr.Blocks():
        parts = lay_out()
    return FeedbackEvents(app, parts, ChatEvents(app, parts).draw), parts


def conversation_of(app, caller, *, name="open") -> View:
    """A question and its answer, as if they had been said."""
    with closing(app.db()) as db:
        said = start_conversation(db, workspace(db, name).id, caller.person.owner)
        asked = add_message(db, said.id, "user", "How long?")
        inputs = Inputs("How long?", "", 1)
        answer = add_message(
            db, said.id, "assistant", "30 days.", parent_id=asked.id, inputs=inputs
        )
    return View(name, said.id, (asked.id, answer.id))


def stored(app, name="open"):
    with closing(app.db()) as db:
        return list_feedback(db, workspace(db, name).id)


def like(liked, index=1) -> gr.LikeData:
    return gr.LikeData(None, {"index": index, "value": "forged text", "liked": liked})


def under(shown, parts) -> str:
    return shown[parts.talk.chat]["value"][1]["content"][1]["text"]


@pytest.mark.parametrize("liked, rating", [(True, 1), (False, -1)])
def test_a_thumb_is_saved_at_once_and_shown_again(app, page, people, liked, rating):
    events, parts = page
    mo = people["mo"]
    shown = events.judge(conversation_of(app, mo), mo.request(), like(liked))
    (given,) = stored(app)
    assert (given.rating, given.contributor, given.status) == (rating, mo.person.owner, "new")
    assert given.answer == "30 days."
    assert shown[parts.talk.chat]["feedback_value"] == ["Like" if liked else "Dislike"]
    assert (parts.comment.whole in shown) is (not liked)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_thumb_that_is_taken_back_is_gone_and_another_takes_its_place(app, page, people, nothing):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    for liked in (True, False):
        events.judge(view, mo.request(), like(liked))
    assert [item.rating for item in stored(app)] == [-1]
    shown = events.judge(view, mo.request(), like(nothing))
    assert stored(app) == []
    assert shown[parts.talk.chat]["feedback_value"] == [None]


def test_the_wish_to_correct_is_marked_until_the_editor_closes(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    events.judge(view, mo.request(), like(True))
    shown = events.judge(view, mo.request(), like(ENGLISH("correct")))
    assert shown[parts.talk.chat]["feedback_value"] == [ENGLISH("correct")]
    assert events.unmark(view, mo.request())["feedback_value"] == ["Like"]


def test_reasons_and_a_remark_come_after_the_thumb(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    target = events.judge(view, mo.request(), like(False))[parts.target]
    shown = events.save_comment(view, target, ["Wrong", "forged"], " Too short ", mo.request())
    comment = stored(app)[0]
    assert (comment.reasons, comment.comment.strip(), comment.rating) == (
        ("Wrong",),
        "Too short",
        None,
    )
    assert shown[parts.comment.whole]["visible"] is False
    assert shown[parts.target] == Target()


def test_an_empty_remark_gets_a_sentence(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    shown = events.save_comment(view, Target(view.ids[1], "k"), [], "  ", mo.request())
    assert "Tick a reason" in shown[parts.comment.problem]["value"]
    assert stored(app) == []


def test_the_editor_opens_with_the_answer_from_storage(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    for shown in (
        events.judge(view, mo.request(), like(ENGLISH("correct"))),
        events.edit(view, Target(view.ids[1], "k"), mo.request()),
    ):
        assert shown[parts.editor.text]["value"] == "30 days."
        assert shown[parts.editor.whole]["visible"] is True
        assert shown[parts.target].message_id == view.ids[1]
    assert stored(app) == []


def test_a_correction_is_saved_and_says_what_happens_next(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    target = events.judge(view, mo.request(), like(ENGLISH("correct")))[parts.target]
    shown = events.save_correction(view, target, " 45 days. ", "New policy", mo.request())
    (given,) = stored(app)
    assert (given.correction, given.comment, given.status) == ("45 days.", "New policy", "new")
    assert "A reviewer looks at it; you will see it here once it is approved." in under(
        shown, parts
    )
    with closing(app.db()) as db:
        approve(db, given.id, reviewer="user:1", correction="45 days, unused.")
    again = events.judge(view, mo.request(), like(None))
    assert "45 days, unused." in under(again, parts)


def test_saving_twice_is_once(app, page, people):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    target = events.judge(view, mo.request(), like(ENGLISH("correct")))[parts.target]
    for _ in range(2):
        events.save_correction(view, target, "45 days.", "", mo.request())
    assert len(stored(app)) == 1


@pytest.mark.parametrize(
    "text, said", [("30 days.", "change it"), ("  ", "Write the answer"), (None, "Write")]
)
def test_a_correction_that_says_nothing_new_gets_a_sentence(app, page, people, text, said):
    events, parts = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    shown = events.save_correction(view, Target(view.ids[1], "k"), text, "", mo.request())
    assert said in shown[parts.editor.problem]["value"]
    assert stored(app) == []


def test_a_public_visitors_feedback_is_quarantined(app, page, people):
    events, _ = page
    visitor = people["visitor"]
    view = conversation_of(app, visitor)
    events.save_correction(view, Target(view.ids[1], "k"), "45 days.", "", visitor.request())
    (given,) = stored(app)
    assert (given.status, given.origin) == ("quarantined", "widget")


def test_nobody_judges_or_sees_a_reply_of_somebody_else(app, page, people):
    events, _ = page
    view = conversation_of(app, people["mo"])
    target = Target(view.ids[1], "k")
    for who in people:
        if who == "mo":
            continue
        request = people[who].request()
        for attempt in (
            lambda request: events.judge(view, request, like(True)),
            lambda request: events.judge(view, request, like(ENGLISH("correct"))),
            lambda request: events.edit(view, target, request),
            lambda request: events.save_comment(view, target, ["Wrong"], "x", request),
            lambda request: events.save_correction(view, target, "x", "", request),
        ):
            with pytest.raises(gr.Error):
                attempt(request)
    assert stored(app) == []


def test_feedback_on_a_question_or_on_nothing_is_refused(app, page, people):
    events, _ = page
    mo = people["mo"]
    view = conversation_of(app, mo)
    for index in (0, 2, -1):
        with pytest.raises(gr.Error):
            events.judge(view, mo.request(), like(True, index))
    with pytest.raises(gr.Error, match="no such reply"):
        events.save_correction(view, Target(), "x", "", mo.request())
    assert stored(app) == []
