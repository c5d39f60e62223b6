"""The schedule as the admin page shows and sets it."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.schedule import ScheduleForm
from assistant.security import may_administer
from storage.workspaces import workspace_by_id


@pytest.fixture
def form(tab):
    return tab(ScheduleForm)


def press(office, work, *inputs):
    return office.press("ada", may_administer, work, *inputs)


def settings(office):
    with closing(office.app.db()) as db:
        return workspace_by_id(db, office.team.id).settings


def test_it_is_saved_and_says_what_follows(office, form):
    shown = press(
        office, form.save_it, "every 4 pairs", "22-6", 30, "accelerate", "rank=8  objective=sft"
    )
    assert (shown[form.schedule], shown[form.hours], shown[form.minutes]) == ("every 4", "22-6", 30)
    assert "after 4 more approved corrections between 22 and 6" in shown[form.said]
    found = settings(office)
    assert (found.schedule, found.idle_hours, found.round_minutes) == ("every 4", "22-6", 30.0)
    assert found.runner == shown[form.runner] == "accelerate"
    assert found.dials == {"rank": 8, "objective": "sft"}
    assert shown[form.dials] == "rank=8 objective=sft"
    cleared = press(office, form.save_it, "", None, None, None, None)
    assert "No round starts by itself" in cleared[form.said]
    assert press(office, form.show)[form.schedule] == ""
    assert settings(office).dials == {} and settings(office).runner == ""


@pytest.mark.parametrize(
    ("hours", "dials", "named"),
    [
        ("at night", "", "22-6"),
        ("22-6", "rnk=8", "no setting 'rnk'"),
        ("22-6", "rank=0", "rank is 0"),
        ("22-6", "rank", "sets nothing"),
    ],
)
def test_what_cannot_be_changes_nothing(office, form, hours, dials, named):
    with pytest.raises(gr.Error, match=named):
        press(office, form.save_it, "every 4", hours, 30, "", dials)
    assert settings(office).schedule == "" and settings(office).dials == {}
