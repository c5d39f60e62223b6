"""Paraphrases on the feedback tab: only of approved corrections of the workspace that is shown."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.security import may_review
from storage.feedback import feedback
from storage.paraphrases import list_paraphrases


@pytest.fixture
def tab_and_form(tab):
    made = tab(FeedbackTab)
    return made, made.paraphrases


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def stored(office):
    with closing(office.app.db()) as db:
        return [(one.question, one.author) for one in list_paraphrases(db, office.team.id)]


def test_one_is_written_shown_and_removed(office, tab_and_form, approved):
    tab, form = tab_and_form
    shown = press(office, tab.show, "approved", None)
    assert shown[form.whole]["visible"] is True and "No paraphrases" in shown[form.listed]
    shown = press(office, form.add_it, approved.id, " Until when can I <return> things? ")
    assert "Until when can I &lt;return&gt; things?" in shown[form.listed]
    rita = office.people["rita"].person.owner
    assert stored(office) == [("Until when can I <return> things?", rita)]
    ((_, id),) = shown[form.chosen]["choices"]
    again = press(office, tab.show, "approved", None)
    assert again[form.listed] == shown[form.listed]
    shown = press(office, form.remove_it, approved.id, id)
    assert shown[form.removing]["visible"] is False and stored(office) == []


def test_the_correction_s_own_question_and_nothing_are_refused(office, tab_and_form, approved):
    _, form = tab_and_form
    for text, said in ((None, "0 characters"), ("how long may goods be returned", "other words")):
        with pytest.raises(gr.Error, match=said):
            press(office, form.add_it, approved.id, text)
    assert stored(office) == []


def test_what_is_not_approved_has_none(office, tab_and_form):
    tab, form = tab_and_form
    given = office.correction("How long?", "45 days.")
    assert press(office, tab.show, "new", None)[form.whole]["visible"] is False
    with pytest.raises(gr.Error, match="no approved correction"):
        press(office, form.add_it, given.id, "Until when?")
    with closing(office.app.db()) as db:
        assert feedback(db, given.id).status == "new"


def test_only_who_reviews_and_only_what_is_shown(office, tab_and_form, approved):
    _, form = tab_and_form
    press(office, form.add_it, approved.id, "Until when can I return things?")
    with closing(office.app.db()) as db:
        (kept,) = list_paraphrases(db, office.team.id)
    for work, more in ((form.add_it, "Another?"), (form.remove_it, kept.id)):
        with pytest.raises(gr.Error, match="may not"):
            press(office, work, approved.id, more, who="mo")
        with pytest.raises(gr.Error, match="Choose a row"):
            press(office, work, approved.id, more, workspace=1)
        with pytest.raises(gr.Error, match="Choose a row"):
            press(office, work, None, more)
    with pytest.raises(gr.Error):
        press(office, form.remove_it, approved.id, 99)
    assert len(stored(office)) == 1
