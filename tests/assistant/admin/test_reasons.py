"""Reasons in the queue: ticked by a reviewer, filtered by anybody who sees it."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.security import may_review, may_see
from storage.feedback import feedback


@pytest.fixture
def queue(tab):
    return tab(FeedbackTab)


def press(office, work, *inputs, who="rita"):
    return office.press(who, may_review, work, *inputs)


def test_a_tick_is_kept_and_shown_again(office, queue):
    given = office.correction("One?")
    form = queue.reasons
    shown = press(office, queue.show, "new", None)
    assert shown[form.ticked]["value"] == [] and shown[form.ticked]["visible"]
    press(office, form.set_them, given.id, ["Wrong tone", "unheard of"])
    with closing(office.app.db()) as db:
        assert feedback(db, given.id).review_reasons == ("Wrong tone",)
    shown = press(office, queue.show, "new", None)
    assert shown[form.ticked]["value"] == ["Wrong tone"]
    with pytest.raises(gr.Error, match="Choose a row"):
        press(office, form.set_them, None, ["Wrong"])


def test_the_queue_is_filtered_and_stays_so_after_a_decision(office, queue):
    three = [office.correction(f"Question {number}?") for number in range(3)]
    for item in three[:2]:
        press(office, queue.reasons.set_them, item.id, ["Incomplete"])
    shown = press(office, queue.first_page, "new", "Incomplete")
    ids = [id for _, id in shown[queue.rows]["choices"]]
    assert ids == [three[1].id, three[0].id]
    shown = press(office, queue.reject_it, "new", None, three[1].id, "Incomplete")
    assert [id for _, id in shown[queue.rows]["choices"]] == [three[0].id]
    assert not press(office, queue.first_page, "new", "Wrong tone")[queue.rows]["choices"]


def test_a_viewer_reads_the_queue_without_what_cannot_work(office, queue):
    given = office.correction("One?")
    press(office, queue.reasons.set_them, given.id, ["Wrong"])
    shown = office.press("vic", may_see, queue.show, "new", None)
    assert "One?" in shown[queue.shown]
    for part in (queue.actions, queue.list.keys, queue.bulk.whole):
        assert shown[part]["visible"] is False
    assert shown[queue.need]["interactive"] is False
    ticked = shown[queue.reasons.ticked]
    assert (ticked["value"], ticked["interactive"]) == (["Wrong"], False)
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, queue.reasons.set_them, given.id, [], who="vic")
