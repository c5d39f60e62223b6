"""The rounds tab: everything on it comes from rows, so that any page at any time shows it."""

import os
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.rounds import RoundsTab
from assistant.security import may_administer
from storage.jobs import beat, job, start_job
from storage.rounds import add_metric, create_round, finish_round, list_rounds
from storage.workspaces import set_workspace
from tuning.child import LOG


@pytest.fixture
def rounds(tab):
    return tab(RoundsTab)


@pytest.fixture
def running(office):
    """A round at work, as its worker would have left the rows."""
    with closing(office.app.db()) as db:
        made = create_round(db, office.team.id, config={"method": "qlora"}, base_fingerprint="f")
        start_job(db, made.job_id, os.getpid())
        beat(db, made.job_id, 0.25, "step 2 of 8")
        for step, loss in ((1, 2.0), (2, 1.5)):
            add_metric(db, made.id, step, "loss", loss)
    log = office.app.datadir.rounds / str(made.id) / "out" / LOG
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {number}\n" for number in range(41)))
    return made


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_too_few_corrections_are_said_with_how_many(office, rounds):
    for work in (rounds.plan_it, rounds.start_it):
        with pytest.raises(gr.Error, match="approve 8 more"):
            press(office, work, 60)
    with closing(office.app.db()) as db:
        assert list_rounds(db, office.team.id) == []


def test_an_impossible_dial_gets_a_sentence(office, rounds):
    with pytest.raises(gr.Error, match="max_minutes"):
        press(office, rounds.plan_it, -1)


def test_a_running_round_is_shown_to_any_page_that_opens(office, rounds, tab, running):
    for one in (rounds, tab(RoundsTab)):
        shown = press(office, one.show)
        assert "25% · step 2 of 8" in shown[one.now]["value"]
        assert "<svg" in shown[one.now]["value"] and "line 40" in shown[one.now]["value"]
        assert "line 10&" not in shown[one.now]["value"]
        assert shown[one.start]["visible"] is False
        assert shown[one.cancel]["visible"] is True


def test_a_watching_page_follows_and_rests_when_nothing_moves(office, rounds, running):
    seen = press(office, rounds.show)[rounds.seen]
    assert press(office, rounds.watch, seen) == gr.skip()
    with closing(office.app.db()) as db:
        beat(db, running.job_id, 0.5, "step 4 of 8")
    shown = press(office, rounds.watch, seen)
    assert "50% · step 4 of 8" in shown[rounds.now]["value"]
    with closing(office.app.db()) as db:
        finish_round(db, running.id, state="done", verdict="reject", reasons=("It lost.",))
    ended = press(office, rounds.watch, shown[rounds.seen])
    assert ended[rounds.now]["visible"] is False
    assert "<li>It lost.</li>" in ended[rounds.past]
    assert ended[rounds.start]["visible"] is True


def test_cancel_asks_the_worker_to_stop(office, rounds, running):
    shown = press(office, rounds.cancel_it)
    assert "stopping" in shown[rounds.now]["value"]
    with closing(office.app.db()) as db:
        assert job(db, running.job_id).cancel_requested
        finish_round(db, running.id, state="cancelled")
    with pytest.raises(gr.Error, match="No round is running"):
        press(office, rounds.cancel_it)


def test_another_workspace_shows_nothing_of_it(office, rounds, running):
    shown = press(office, rounds.show, workspace=1)
    assert shown[rounds.now]["visible"] is False
    assert "No round yet" in shown[rounds.past]
    with pytest.raises(gr.Error, match="No round is running"):
        press(office, rounds.cancel_it, workspace=1)


def test_resume_is_offered_for_a_round_that_broke_off_with_its_bundle(office, rounds, running):
    with closing(office.app.db()) as db:
        finish_round(db, running.id, state="failed", error="the process was killed")
    assert press(office, rounds.show)[rounds.resume]["visible"] is False
    (office.app.datadir.rounds / str(running.id) / "bundle").mkdir(parents=True)
    assert press(office, rounds.show)[rounds.resume]["visible"] is True
    with pytest.raises(gr.Error, match="no bundle"):
        press(office, rounds.resume_it)  # the folder is empty
    with pytest.raises(gr.Error, match="cannot be resumed"):
        press(office, rounds.resume_it, workspace=1)


def test_the_next_planned_round_is_said(office, rounds):
    with closing(office.app.db()) as db:
        set_workspace(db, office.team.name, "schedule", "every 3")
    assert "after 3 more approved corrections" in press(office, rounds.open)[rounds.waiting]
