"""Rounds as the house runs them: one of many triggers, judged alike, again after a kill."""

import os
import signal
import threading
import time
from contextlib import closing

import psutil
import pytest

from assistant.opponents import Watch, opponents
from assistant.rounds import resume_round, run_round_here, start_round
from storage.adapters import adapter
from storage.errors import Refused
from storage.feedback import reject
from storage.jobs import job, request_cancel
from storage.paraphrases import add_paraphrase
from storage.rounds import (
    create_round,
    evaluations,
    finish_round,
    list_rounds,
    round_examples,
    tuning_round,
)
from storage.text import clean
from storage.workspaces import create_workspace
from tests.assistant.command_line import run_verb, write_rows
from tuning.bundle import read_bundle
from tuning.run import judge_round

QUICK = {"method": "lora", "epochs": 40, "rank": 2, "replay_share": 0, "learned_loss": 0}
QUICK |= {"checkpoint_steps": 2, "learning_rate": 1e-4}


@pytest.fixture
def taught(app, tmp_path):
    """The app with four needs of three wordings each."""
    rows = [
        {"question": f"{ask} {need}?", "correction": f"Answer {need}.", "group": f"need {need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    return app


def until(app, holds, seconds=300):
    """Waits until `holds(db)` is true, and returns it."""
    deadline = time.monotonic() + seconds
    with closing(app.db()) as db:
        while not (found := holds(db)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    return found


def state(round_id, *states):
    return lambda db: tuning_round(db, round_id).state in states


def test_of_a_hundred_triggers_one_round_runs_and_it_waits_its_turn(taught, workspace, tried):
    """Ten trials. Another workspace's round is before it, so that it can be seen to wait."""
    with closing(taught.db()) as db:
        other = create_workspace(db, "other")
        before = create_round(db, other.id, config={}, base_fingerprint="b")
    for trial in range(10):
        tried("B10")
        outcomes = []
        together = threading.Barrier(100)

        def trigger(outcomes=outcomes, together=together):
            together.wait()
            try:
                outcomes.append(start_round(taught, workspace, dials=QUICK, actor="schedule").id)
            except Refused:
                outcomes.append(None)

        threads = [threading.Thread(target=trigger) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (started,) = {one for one in outcomes if one is not None}
        assert outcomes.count(None) == 99
        with closing(taught.db()) as db:
            assert len(list_rounds(db, workspace.id)) == trial + 1
            waiting = tuning_round(db, started).job_id
        said = until(taught, lambda db, waiting=waiting: job(db, waiting).note)
        assert said == f"waiting for round {before.id} of other"
        with closing(taught.db()) as db:
            request_cancel(db, waiting)
        until(taught, state(started, "cancelled"))


def training_of(app):
    """The process id of the training child of this process, once it has a checkpoint."""
    for child in psutil.Process(os.getpid()).children(recursive=True):
        if "tuning.run" in " ".join(child.cmdline()):
            return child.pid
    return None


def test_a_killed_round_is_resumed_to_its_verdict(taught, workspace):
    made = start_round(taught, workspace, dials=QUICK, actor="user:1")
    out = taught.datadir.rounds / str(made.id) / "out"
    until(taught, lambda db: any(out.glob("checkpoint-*/manifest.json")))
    os.kill(training_of(taught), signal.SIGKILL)
    until(taught, state(made.id, "failed"))
    with closing(taught.db()) as db:
        assert "was killed after step" in tuning_round(db, made.id).error
    again, where = resume_round(taught, made.id, actor="user:1")
    assert where.startswith("from step ") and again.id == made.id
    until(taught, state(made.id, "done"))
    with closing(taught.db()) as db:
        ended = tuning_round(db, made.id)
        assert ended.verdict and ended.job_id != made.job_id
        counts = {"train": 8, "held_out": 4, "replay": 0, "preferences": 0, "thumbs": 0}
        assert ended.scores["pairs"] == counts
        assert ended.scores["training"]["steps"] == 40
        taught_on = adapter(db, ended.scores["adapter"])
    assert not list(out.glob("checkpoint-*"))

    quick = {**QUICK, "epochs": 1}
    child = start_round(taught, workspace, dials=quick, start=str(taught_on.id), actor="user:1")
    until(taught, state(child.id, "done", "failed"))
    with closing(taught.db()) as db:
        ended = tuning_round(db, child.id)
        assert ended.error is None and ended.start_adapter_id == taught_on.id
        assert adapter(db, ended.scores["adapter"]).parent_id == taught_on.id
        assert "0 corrections are new to it; 3 of 8" in " ".join(ended.config["notes"])
        learned = [one for one in round_examples(db, child.id) if one.split == "train"]
        assert len(learned) == 3


def test_a_round_that_cannot_go_on_says_why(taught, workspace):
    with closing(taught.db()) as db:
        known = create_round(db, workspace.id, config={}, base_fingerprint="b")
        finish_round(db, known.id, state="failed")
    with pytest.raises(Refused, match="before its bundle was written"):
        resume_round(taught, known.id, actor="user:1")
    made = start_round(taught, workspace, dials=QUICK, actor="user:1")
    bundle = taught.datadir.rounds / str(made.id) / "bundle"
    until(taught, lambda db: bundle.is_dir())
    with closing(taught.db()) as db:
        request_cancel(db, made.job_id)
    until(taught, state(made.id, "cancelled"))
    with closing(taught.db()) as db:
        reject(db, 1, reviewer="user:1")
    with pytest.raises(Refused, match="apprentice tune"):
        resume_round(taught, made.id, actor="user:1")


DIALS = {"method": "lora", "epochs": 1, "rank": 2, "replay_share": 0}


@pytest.fixture
def finished(app, workspace, tmp_path):
    """A finished round of four needs of three wordings, and one of one with a paraphrase."""
    rows = [
        {"question": f"{ask} number {need}?", "correction": f"Answer {need}.", "group": f"n{need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    rows.append({"question": "When do you open?", "correction": "At nine.", "group": "hours"})
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with closing(app.db()) as db:
        add_paraphrase(db, 13, "At what time are you there?", author="user:1")
    return run_round_here(app, workspace, dials=DIALS, actor="user:1")


def test_a_round_is_judged_by_every_opponent_and_evaluated_the_same_again(app, finished):
    with closing(app.db()) as db:
        first = evaluations(db, finished.id)
        asked = {(one.row, one.case_id) for one in first if one.slice == "new wordings"}
        cases = {case for _, case in asked}
        assert len(cases) == 5 and "13~p1" in cases
        rows = {"candidate", "serving", "base", "few_shot"}
        assert asked == {(row, case) for row in rows for case in cases}
        assert {one.row for one in first if one.slice == "sentinel"} == rows - {"few_shot"}
        assert finished.scores["scores"]["few_shot"]["new wordings"]["total"] == 5
        assert any("On 5 new wordings" in reason for reason in finished.reasons)
        assert finished.scores["pairs"]["held_out"] == 5
        kept = round_examples(db, finished.id)
        assert len(kept) == 13
        assert 13 in {one.feedback_id for one in kept if one.split == "train"}

        folder = app.datadir.rounds / str(finished.id)
        bundle = read_bundle(folder / "bundle")
        (folder / "out" / "adapter").symlink_to(app.adapter_folder(finished.scores["adapter"]))
        watch = Watch(db, tuning_round(db, finished.id), lambda share, note: None)
        with opponents(app, db, finished, bundle, watch) as (again, answer, _):
            second = judge_round(folder / "bundle", folder / "out", rows=again, answer=answer)
    key = {(one.row, one.case_id): (one.answer, one.right) for one in first}
    again = {
        (one.row, one.case_id): (clean(one.answer), one.right) for one in second.evaluations
    }  # clean: as it is stored, without the NUL that a random model may say
    assert again == key
    assert (second.verdict, second.reasons) == (finished.verdict, finished.reasons)
