"""New base, same lessons, from the admin page: a job of the house that any page follows."""

import json
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.adapters import AdaptersTab
from assistant.admin.rebase_job import KIND, last_rebase
from assistant.security import may_administer
from storage import jobs
from storage.adapters import add_adapter, list_adapters, promote, serving_adapter
from storage.feedback import approve
from storage.rounds import create_round
from storage.workspaces import set_workspace
from tests.assistant.taught import teach
from tests.tiny import make_tiny_adapter, make_tiny_base
from tuning.adapter_files import manifest_hash, save_adapter

QUICK = {"method": "lora", "epochs": 1, "replay_share": 0, "wordings": 0, "gate_risk": 0.0001}


@pytest.fixture
def tabbed(tab):
    return tab(AdaptersTab)


@pytest.fixture
def serving(office, tmp_path):
    """An adapter of the team that serves, and corrections that it may have learned."""
    app = office.app
    teach(app, office.team)
    facts = {"base_fingerprint": app.base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(
        make_tiny_adapter(app.base, tmp_path / "w"), app.adapter_folder(1), metrics={}, **facts
    )
    with closing(app.db()) as db:
        set_workspace(db, "team", "dials", json.dumps(QUICK))
        hash = manifest_hash(app.adapter_folder(1))
        made = add_adapter(db, office.team.id, parent_id=None, manifest_hash=hash, **facts)
        return promote(db, made.id, actor="user:1", override_reason="for the test")


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def ended(office):
    return office.ended(lambda db, workspace_id: last_rebase(db))


def test_it_is_asked_twice_and_says_what_came_of_it(office, tabbed, tab, serving, tmp_path):
    base = make_tiny_base(tmp_path / "second", seed=1)
    for question in ("Say hello.", "Say goodbye.", "Who are you?", "What is this?"):
        given = office.correction(question, "Ahoy.")
        with closing(office.app.db()) as db:
            approve(db, given.id, reviewer="user:1")
    asked = press(office, tabbed.rebase.ask_it, f"{base.folder}<b>")
    assert "&lt;b&gt;" in asked[tabbed.rebase.question]
    shown = press(office, tabbed.rebase.begin, str(base.folder))
    assert shown[tabbed.rebase.sure]["visible"] is False
    job = ended(office)
    assert (job.state, job.error) == ("done", None)
    assert job.note.startswith("The base model stays") and "team, adapter 2:" in job.note
    for one in (tabbed, tab(AdaptersTab)):
        for where in (office.team.id, 1):
            assert "stays" in press(office, one.open, workspace=where)[one.rebase.state]
    with closing(office.app.db()) as db:
        assert serving_adapter(db, office.team.id).id == serving.id
        (made, _) = list_adapters(db, office.team.id)
        assert made.status == "rejected"


def test_what_cannot_be_taught_is_said_by_the_job(office, tabbed, serving):
    with pytest.raises(gr.Error, match="Name the base model"):
        press(office, tabbed.rebase.ask_it, "  ")
    with pytest.raises(gr.Error, match="Name the base model"):
        press(office, tabbed.rebase.begin, None)
    press(office, tabbed.rebase.begin, str(office.app.base.folder))
    assert "the base model that serves" in (ended(office).error or "")
    shown = press(office, tabbed.open)
    assert 'role="alert"' in shown[tabbed.rebase.state]
    assert shown[tabbed.rebase.cancel]["visible"] is False


def test_one_at_work_is_followed_and_stopped_with_its_round(office, tabbed):
    with pytest.raises(gr.Error, match="not being taught"):
        press(office, tabbed.rebase.cancel_it)
    with closing(office.app.db()) as db:
        running = jobs.create_job(db, KIND, None)
        jobs.start_job(db, running.id, 1)
        jobs.beat(db, running.id, 0.5, "team: training")
        other = create_round(db, office.team.id, config={}, base_fingerprint="another")
        own = create_round(db, 1, config={}, base_fingerprint=office.app.base.fingerprint)
    shown = press(office, tabbed.open)
    assert "50% · team: training" in shown[tabbed.rebase.state]
    assert shown[tabbed.rebase.cancel]["visible"] is True
    with pytest.raises(gr.Error, match="wait, or cancel"):
        press(office, tabbed.rebase.begin, "other/base")
    assert "stopping" in press(office, tabbed.rebase.cancel_it)[tabbed.rebase.state]
    with closing(office.app.db()) as db:
        assert jobs.job(db, running.id).cancel_requested
        assert jobs.job(db, other.job_id).cancel_requested
        assert not jobs.job(db, own.job_id).cancel_requested


def test_only_an_admin(office, tabbed):
    for work, *more in ((tabbed.rebase.begin, "other/base"), (tabbed.rebase.cancel_it,)):
        with pytest.raises(gr.Error, match="may not"):
            press(office, work, *more, who="rita")
