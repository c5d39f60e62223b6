"""A workspace deleted on the page: what is lost is said, its name is typed."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.workspaces import WorkspacesTab
from assistant.security import may_administer
from storage.audit import list_audit
from storage.documents import put_document
from storage.workspaces import list_workspaces, workspace


@pytest.fixture
def form(tab):
    return tab(WorkspacesTab)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def names(office):
    with closing(office.app.db()) as db:
        return [item.name for item in list_workspaces(db)]


def test_what_is_lost_is_said_and_a_wrong_name_deletes_nothing(office, form):
    office.correction("How long?")
    with closing(office.app.db()) as db:
        chunks = [("", "text")]
        put_document(
            db, office.team.id, name="a.md", hash="h", media_type="text/plain", chunks=chunks
        )
    shown = press(office, form.deletion.ask_it)
    said = shown[form.deletion.question]
    assert "team" in said and "1 documents, 1 conversations, 1 feedback" in said
    for typed in ("", None, "Team", "default"):
        with pytest.raises(gr.Error, match="Type 'team' to delete it"):
            press(office, form.delete_it, typed)
    assert "team" in names(office)


def test_it_goes_with_all_that_is_in_it_and_the_default_one_is_shown(office, form):
    office.correction("How long?")
    shown = press(office, form.delete_it, " team ")
    assert "team" not in names(office)
    with closing(office.app.db()) as db:
        default = workspace(db, "default").id
        (act,) = [one for one in list_audit(db, 5) if one.action == "workspace deleted"]
    assert act.actor == office.people["ada"].person.owner
    assert shown[form.workspace]["value"] == shown[form.before]["workspace"] == default
    assert shown[form.deletion.sure]["visible"] is False


def test_the_default_one_stays_and_a_reviewer_deletes_none(office, form):
    with pytest.raises(gr.Error, match="cannot be deleted"):
        press(office, form.delete_it, "default", workspace=1)
    for work, typed in ((form.delete_it, ["team"]), (form.deletion.ask_it, [])):
        with pytest.raises(gr.Error, match="may not do this"):
            press(office, work, *typed, who="rita")
    assert "team" in names(office)
