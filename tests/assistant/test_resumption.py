"""A round whose process died goes on by itself: once, in its hours, if it may."""

import time
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from assistant.admin.rounds_view import history
from assistant.resumption import KEPT, RESUMED, goes_on, resume_killed
from storage.audit import list_audit
from storage.feedback import reject
from storage.jobs import KILLED, job, mark_dead, request_cancel, start_job
from storage.rounds import create_round, tuning_round
from storage.workspaces import create_workspace, set_workspace
from tests.assistant.taught import bundled
from tuning.config import RoundConfig

DIALS = RoundConfig(method="lora", epochs=1, rank=2, threads=1)
NOBODY = 2**22 + 1
"""No process has this number: it is above Linux's highest."""


@pytest.fixture
def killed(app, workspace, tmp_path):
    """A round that was at work when its process died."""
    made = bundled(app, workspace, DIALS, tmp_path)
    die(app, made.job_id)
    return made


def die(app, job_id, *more):
    with closing(app.db()) as db:
        start_job(db, job_id, NOBODY)
        assert {one.id for one in mark_dead(db)} == {job_id, *more}


def now(app, known):
    with closing(app.db()) as db:
        return tuning_round(db, known.id)


def ended(app, known, state):
    """The round, once it has ended, so."""
    give_up = time.monotonic() + 600
    while now(app, known).finished_at is None:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    assert now(app, known).state == state
    return now(app, known)


def test_it_goes_on_by_itself_to_its_verdict_and_says_so(app, workspace, killed):
    resume_killed(app)
    done = ended(app, killed, "done")
    assert done.error is None and done.verdict
    assert done.config["resumption"] == RESUMED
    assert f"<li>{RESUMED}</li>" in history([(done, {})])
    with closing(app.db()) as db:
        assert (job(db, killed.job_id).error, job(db, killed.job_id).note) == (KILLED, RESUMED)
        said = [one for one in list_audit(db) if one.action == "round resumed"]
        assert [one.actor for one in said] == ["server"]


@pytest.fixture
def before_it(app):
    """Another workspace's round is first, so that one which goes on can be seen to wait."""
    with closing(app.db()) as db:
        return create_round(db, create_workspace(db, "other").id, config={}, base_fingerprint="b")


def test_once(app, killed, before_it):
    resume_killed(app)
    again = now(app, killed)
    assert again.state == "queued" and again.job_id != killed.job_id
    die(app, again.job_id, before_it.job_id)
    resume_killed(app)
    assert (now(app, killed).state, now(app, killed).job_id) == ("failed", again.job_id)


def test_in_the_idle_hours_if_there_are_some(app, killed, before_it):
    hour = datetime.now().astimezone().replace(minute=30)
    quiet = f"{(hour.hour + 2) % 24}-{(hour.hour + 4) % 24}"
    with closing(app.db()) as db:
        room = set_workspace(db, "default", "idle_hours", quiet)
        assert f"round {killed.id} was killed; it goes on by itself between" in goes_on(
            app, db, room
        )
    resume_killed(app, hour)
    assert now(app, killed).state == "failed"
    resume_killed(app, hour + timedelta(hours=2))
    assert now(app, killed).state == "queued"
    with closing(app.db()) as db:
        assert goes_on(app, db, room) == ""
        request_cancel(db, now(app, killed).job_id)
    ended(app, killed, "cancelled")


def test_what_may_be_taught_no_more_is_told_once(app, workspace, killed):
    with closing(app.db()) as db:
        reject(db, 1, reviewer="user:1")
    resume_killed(app)
    left = now(app, killed)
    assert left.state == "failed"
    assert "did not go on by itself: Round 1 holds 1 corrections" in left.config["resumption"]
    resume_killed(app)
    with closing(app.db()) as db:
        assert not [one for one in list_audit(db) if one.action == "round resumed"]


def forget(app, known):
    resume_killed(app, datetime.now().astimezone() + KEPT + timedelta(minutes=1))


def newer(app, known):
    with closing(app.db()) as db:
        create_round(db, known.workspace_id, config={}, base_fingerprint="b")
    resume_killed(app)


@pytest.mark.parametrize("look", [forget, newer])
def test_one_that_is_old_or_has_a_successor_stays_failed(app, killed, look):
    look(app, killed)
    assert now(app, killed).state == "failed" and "resumption" not in now(app, killed).config


def test_one_that_was_cancelled_or_had_no_bundle_stays_failed(app, workspace, tmp_path):
    made = bundled(app, workspace, DIALS, tmp_path)
    with closing(app.db()) as db:
        request_cancel(db, made.job_id)
    die(app, made.job_id)
    with closing(app.db()) as db:
        early = create_round(db, workspace.id, config={}, base_fingerprint="b")
    die(app, early.job_id)
    resume_killed(app)
    for known in (made, early):
        assert now(app, known).state == "failed" and "resumption" not in now(app, known).config
