"""The overrides tab: what answers at once, a page at a time, and stopping one."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.overrides import OverridesTab
from assistant.security import may_review
from storage.feedback import feedback
from storage.overrides import list_overrides, override_of


@pytest.fixture
def overrides(tab):
    return tab(OverridesTab)


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def test_one_is_shown_and_stopped(office, overrides, approved):
    shown = press(office, overrides.show)
    assert "45 days.</td><td>yes</td>" in shown[overrides.listed]
    ((_, id),) = shown[overrides.chosen]["choices"]
    gone = press(office, overrides.stop_it, id)
    assert "No correction answers at once." in gone[overrides.listed]
    with closing(office.app.db()) as db:
        assert override_of(db, approved.id).status == "retired"
        assert feedback(db, approved.id).status == "approved"


def test_a_page_goes_on_before_the_last_one_shown(office, overrides, approved):
    with closing(office.app.db()) as db:
        (found,) = list_overrides(db, office.team.id)
        assert list_overrides(db, office.team.id, before=found.id) == []
        assert list_overrides(db, office.team.id, before=found.id + 1, limit=1) == [found]
    older = press(office, overrides.show, found.id)
    assert older[overrides.newest]["visible"] and not older[overrides.older]["visible"]


def test_only_who_reviews_and_only_of_this_workspace(office, overrides, approved):
    with closing(office.app.db()) as db:
        (found,) = list_overrides(db, office.team.id)
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, overrides.stop_it, found.id, who="mo")
    with pytest.raises(gr.Error, match="no such correction in this workspace"):
        press(office, overrides.stop_it, found.id, workspace=1)
    with pytest.raises(gr.Error, match="Choose one"):
        press(office, overrides.stop_it, None)
