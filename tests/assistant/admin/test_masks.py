"""On the feedback tab: what of a row a round learns a placeholder for, and freeing it."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.lessons import lessons
from assistant.security import may_review
from storage.audit import list_audit
from tests.assistant.outside import give

SAID = "Write to bo@x.example or call +49 171 1234567."


@pytest.fixture
def form(tab):
    return tab(FeedbackTab).masks


@pytest.fixture
def row(office):
    give(office.app, office.team, [("v1", "Where is it?", "On the shelf.")], approved=True)
    return give(office.app, office.team, [("v1", "Whom do I ask?", SAID)], approved=True)[0]


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def chosen(office, row):
    with closing(office.app.db()) as db:
        found = lessons(office.app, db, office.team)
    return next(one.pair.chosen for one in found if one.pair.feedback_id == row)


def test_a_reviewer_frees_a_value_then_the_row_then_masks_it(office, tab, row):
    page = tab(FeedbackTab)
    form = page.masks
    shown = press(office, page.show, "approved", None, row)
    assert shown[form.whole]["visible"] is True
    choices = shown[form.values]["choices"]
    assert [text for text, _ in choices] == ["e-mail: bo@x.example", "phone: +49 171 1234567"]
    assert chosen(office, row) == "Write to [e-mail] or call [phone]."
    shown = press(office, form.free_ticked, row, [choices[0][1]])
    assert [text for text, _ in shown[form.values]["choices"]] == ["phone: +49 171 1234567"]
    assert "learn 1 value of this row" in shown[form.said]["value"]
    assert chosen(office, row) == "Write to bo@x.example or call [phone]."
    shown = press(office, form.free_all, row)
    assert (
        shown[form.values]["visible"] is False and "as it is written" in shown[form.said]["value"]
    )
    assert chosen(office, row) == SAID
    shown = press(office, form.mask_it, row)
    assert len(shown[form.values]["choices"]) == 2 and shown[form.again]["visible"] is False
    assert chosen(office, row) == "Write to [e-mail] or call [phone]."
    with closing(office.app.db()) as db:
        acts = [one for one in list_audit(db) if one.action in ("feedback unmask", "feedback mask")]
    assert len(acts) == 3
    assert {one.actor for one in acts} == {office.people["rita"].person.owner}


def test_nothing_is_shown_of_a_row_that_has_nothing_private(office, tab, row):
    page = tab(FeedbackTab)
    shown = press(office, page.show, "approved", None, row - 1)
    assert shown[page.masks.whole]["visible"] is False


def test_without_a_tick_nothing_is_freed(office, form, row):
    with pytest.raises(gr.Error, match="Tick what may be taught"):
        press(office, form.free_ticked, row, [])
    assert chosen(office, row) == "Write to [e-mail] or call [phone]."


def test_who_may_not_review_frees_nothing(office, form, row):
    for work in (form.free_all, form.mask_it):
        with pytest.raises(gr.Error):
            press(office, work, row, who="mo")
    assert chosen(office, row) == "Write to [e-mail] or call [phone]."
