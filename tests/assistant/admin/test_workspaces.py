"""The settings tab: all or nothing, faults beside their fields, what was typed stays."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.setting_fields import setting_fields
from assistant.admin.workspaces import WorkspacesTab
from assistant.security import may_administer
from storage.workspaces import list_workspaces, workspace
from tests.assistant.pictures import picture


@pytest.fixture
def form(tab):
    return tab(WorkspacesTab)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def typed(office, form, **changes):
    """What the page sends: what it showed, and each field, some of them changed."""
    shown = press(office, form.show)
    values = {key: shown[place] for key, place in form.inputs.items()} | changes
    return [shown[form.before], *(values[field.key] for field in setting_fields())]


def test_what_was_changed_is_saved(office, form):
    changes = {"top_k": "5", "access": "public", "instructions": "Be brief.", "stop": "END\nFIN"}
    shown = press(office, form.save_it, *typed(office, form, **changes, embed_sources=True))
    for key in (*changes, "embed_sources"):
        assert key in shown[form.said]
    with closing(office.app.db()) as db:
        now = workspace(db, "team")
    assert (now.access, now.instructions, now.instructions_version) == ("public", "Be brief.", 2)
    assert (now.settings.top_k, now.settings.stop) == (5, ("END", "FIN"))
    assert now.settings.embed_sources is True
    again = press(office, form.save_it, *typed(office, form))
    assert "Nothing was changed." in again[form.said]


def test_faults_stand_beside_their_fields_and_nothing_is_lost_or_saved(office, form):
    sent = typed(office, form, top_k="many", temperature="9", max_tokens="99", dials="{")
    shown = press(office, form.save_it, *sent)
    told = {key: shown[place] for key, place in form.faults.items()}
    assert {key for key, update in told.items() if update["visible"]} == {
        *("top_k", "temperature", "dials"),
    }
    assert "cannot be" in told["top_k"]["value"]
    assert not any(place in shown for place in form.inputs.values())
    with closing(office.app.db()) as db:
        assert workspace(db, "team") == office.team
    # the tab is left and opened again: what was typed is still there
    assert press(office, form.open, *sent) == gr.skip()
    other = press(office, form.open, *sent, workspace=1)
    assert other[form.before]["workspace"] == 1


def test_another_workspace_is_made_or_what_is_wrong_is_said(office, form):
    with pytest.raises(gr.Error, match="cannot name a workspace"):
        press(office, form.make_it, "Sales!", "members")
    shown = press(office, form.make_it, "sales", "embed")
    with closing(office.app.db()) as db:
        made = workspace(db, "sales")
    assert made.access == "embed" and shown[form.workspace]["value"] == made.id
    assert shown[form.inputs["access"]] == "embed"


def test_a_workspace_that_is_not_shown_is_not_set(office, form):
    sent = typed(office, form, top_k="5")
    with pytest.raises(gr.Error, match="Another workspace was chosen"):
        press(office, form.save_it, *sent, workspace=1)


def test_a_picture_is_kept_shown_and_taken_away(office, form, tmp_path):
    avatar = form.avatar
    shown = press(office, form.show)
    assert "No picture" in shown[avatar.shown] and shown[avatar.remove]["visible"] is False
    file = picture(tmp_path / "face.webp")
    shown = press(office, avatar.keep, str(file))
    assert "/avatar/team?v=" in shown[avatar.shown] and shown[avatar.remove]["visible"]
    assert not file.exists()
    (tmp_path / "no.png").write_text("<svg/>")
    with pytest.raises(gr.Error, match="no.png is no picture"):
        press(office, avatar.keep, str(tmp_path / "no.png"))
    assert not (tmp_path / "no.png").exists()
    assert "/avatar/team?v=" in press(office, form.show)[avatar.shown]
    assert "No picture" in press(office, avatar.take_away)[avatar.shown]


def test_the_name_and_the_greeting_are_fields_and_the_pictures_hash_is_none(form):
    assert {"assistant_name", "greeting"} <= form.inputs.keys() and "avatar" not in form.inputs


def test_a_reviewer_sets_nothing(office, form):
    sent = typed(office, form, top_k="5")
    tried = ((form.save_it, sent), (form.make_it, ("sales", "embed")))
    for work, inputs in (*tried, (form.avatar.keep, ("x.png",)), (form.avatar.take_away, ())):
        with pytest.raises(gr.Error, match="may not do this"):
            press(office, work, *inputs, who="rita")
    with closing(office.app.db()) as db:
        assert len(list_workspaces(db)) == 4 and workspace(db, "team") == office.team
