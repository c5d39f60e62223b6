"""Backups on the page: which hold what was erased, and deleting them after a second yes."""

import json
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.backups import BackupsForm
from assistant.erasure import erase
from assistant.security import may_administer
from storage.audit import list_audit
from storage.backup import make_backup


@pytest.fixture
def backups(tab):
    return tab(BackupsForm)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


@pytest.fixture
def older(office, tmp_path):
    """A backup, an erasure after it, and a file put in the place of another backup."""
    given = office.correction("How long?")
    paths = [tmp_path / name for name in ("old.tar", "other.tar", "new.tar")]
    for path in paths[:2]:
        make_backup(office.app.datadir, path, actor="cli:a")
    paths[1].write_text("something else")
    erase(office.app, "feedback", str(given.id), actor="cli:a")
    make_backup(office.app.datadir, paths[2], actor="cli:a")
    return paths


def test_older_ones_are_deleted_after_a_second_yes(office, backups, older):
    shown = press(office, backups.show)
    assert f"<td>{older[0]}</td>" in shown[backups.listed].replace("<wbr>", "")
    assert shown[backups.listed].count("<td>yes</td>") == 2
    assert shown[backups.purge]["visible"] is True
    asked = press(office, backups.ask)
    assert "Delete 2 backups" in asked[backups.question] and asked[backups.sure]["visible"] is True
    assert older[0].exists()
    done = press(office, backups.purge_it)
    assert "<td>deleted</td>" in done[backups.done] and "left alone" in done[backups.done]
    assert [path.exists() for path in older] == [False, True, True]
    listed = done[backups.listed].replace("<wbr>", "")
    assert str(older[2]) in listed and str(older[0]) not in listed
    assert done[backups.purge]["visible"] is False
    facts = json.loads((office.app.datadir.certificates / "1.json").read_text())
    assert facts["still_held"] == []
    with closing(office.app.db()) as db:
        actors = {act.actor for act in list_audit(db) if act.action == "backup purged"}
    assert actors == {office.people["ada"].person.owner}


def test_without_an_erasure_nothing_is_offered(office, backups, tmp_path):
    assert "No backups" in press(office, backups.show)[backups.listed]
    make_backup(office.app.datadir, tmp_path / "a.tar", actor="cli:a")
    assert press(office, backups.show)[backups.purge]["visible"] is False
    assert press(office, backups.ask)[backups.sure]["visible"] is False
    assert "No backup is older" in press(office, backups.purge_it)[backups.done]
    assert (tmp_path / "a.tar").exists()


def test_only_an_admin(office, backups, older):
    with pytest.raises(gr.Error, match="may not"):
        press(office, backups.purge_it, who="rita")
    assert older[0].exists()
