"""On the feedback tab: whether a correction answers at once, and stopping that."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.security import may_review
from storage.adapters import add_adapter, promote
from storage.audit import list_audit
from storage.feedback import feedback
from storage.overrides import note_learned, override_for


@pytest.fixture
def tab_and_form(tab):
    made = tab(FeedbackTab)
    return made, made.override


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def test_it_answers_until_a_reviewer_stops_it(office, tab_and_form, approved):
    tab, form = tab_and_form
    shown = press(office, tab.show, "approved", None)
    assert shown[form.whole]["visible"] is True and "Answers at once: yes." in shown[form.state]
    assert shown[form.stop]["visible"] is True
    shown = press(office, form.stop_it, approved.id)
    assert (
        "Answers at once: no, stopped." in shown[form.state]
        and shown[form.stop]["visible"] is False
    )
    with closing(office.app.db()) as db:
        assert override_for(db, office.team.id, approved.question) is None
        assert feedback(db, approved.id).status == "approved"
        (act,) = [one for one in list_audit(db) if one.action == "override retired"]
    assert act.actor == office.people["rita"].person.owner


def test_what_the_adapter_knows_is_said(office, tab_and_form, approved):
    tab, form = tab_and_form
    with closing(office.app.db()) as db:
        made = add_adapter(
            db,
            office.team.id,
            round_id=None,
            parent_id=None,
            base_fingerprint="b",
            method="lora",
            manifest_hash="m",
            metrics={},
        )
        promote(db, made.id, actor="user:1", override_reason="test")
        note_learned(db, made.id, [approved.id])
    shown = press(office, tab.show, "approved", None)
    assert f"Answers at once: no, adapter {made.id} knows it." in shown[form.state]


def test_what_is_not_approved_has_none(office, tab_and_form):
    tab, form = tab_and_form
    given = office.correction("How long?", "45 days.")
    assert press(office, tab.show, "new", None)[form.whole]["visible"] is False
    with pytest.raises(gr.Error, match="does not answer at once"):
        press(office, form.stop_it, given.id)


def test_only_who_reviews_and_only_what_is_shown(office, tab_and_form, approved):
    _, form = tab_and_form
    with pytest.raises(gr.Error, match="may not"):
        press(office, form.stop_it, approved.id, who="mo")
    with pytest.raises(gr.Error, match="Choose a row"):
        press(office, form.stop_it, approved.id, workspace=1)
