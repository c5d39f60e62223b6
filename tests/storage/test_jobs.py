import os
import subprocess
import sys

import pytest

from storage.database import write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.jobs import (
    KILLED,
    beat,
    create_job,
    finish_job,
    job,
    list_jobs,
    mark_dead,
    request_cancel,
    running_jobs,
    start_job,
)
from storage.rounds import create_round, tuning_round
from storage.workspaces import create_workspace


def test_a_job_from_queue_to_end(db, workspace):
    work = create_job(db, "ingest", workspace.id)
    assert (work.state, work.progress, work.pid) == ("queued", 0.0, None)
    assert start_job(db, work.id, os.getpid()).state == "running"
    assert beat(db, work.id, 0.25, "page 3\0 of 12") is False
    seen = job(db, work.id)
    assert (seen.progress, seen.note, seen.pid) == (0.25, "page 3 of 12", os.getpid())
    assert seen.heartbeat_at >= seen.started_at >= seen.created_at
    done = finish_job(db, work.id, "done")
    assert (done.state, done.progress, done.error) == ("done", 1.0, None)
    assert done.finished_at is not None


def test_a_page_can_watch_and_cancel(db, workspace):
    work = create_job(db, "ingest", workspace.id)
    start_job(db, work.id, os.getpid())
    assert request_cancel(db, work.id).cancel_requested
    assert beat(db, work.id, 0.5) is True
    finish_job(db, work.id, "cancelled")
    assert request_cancel(db, work.id).state == "cancelled"
    assert running_jobs(db) == []


def test_progress_stays_between_nothing_and_all(db):
    work = create_job(db, "ingest", None)
    start_job(db, work.id, os.getpid())
    beat(db, work.id, 7.0)
    assert job(db, work.id).progress == 1.0
    beat(db, work.id, -1.0)
    assert job(db, work.id).progress == 0.0


def test_an_ended_job_stays_ended(db):
    work = create_job(db, "ingest", None)
    with pytest.raises(BadInput, match="'running' is no end"):
        finish_job(db, work.id, "running")
    finish_job(db, work.id, "failed", "no space left")
    with pytest.raises(Refused, match="already failed"):
        finish_job(db, work.id, "done")
    with pytest.raises(Refused, match="already failed"):
        start_job(db, work.id, os.getpid())
    beat(db, work.id, 0.9)
    assert (job(db, work.id).progress, job(db, work.id).error) == (0.0, "no space left")
    with pytest.raises(NotFound, match="no job 99"):
        request_cancel(db, 99)


def test_lists_are_of_one_workspace_or_all(db, workspace):
    first = create_job(db, "ingest", workspace.id)
    other = create_job(db, "ingest", create_workspace(db, "other").id)
    house = create_job(db, "backup", None)
    assert [work.id for work in list_jobs(db)] == [house.id, other.id, first.id]
    assert list_jobs(db, workspace.id) == [first]
    assert running_jobs(db) == [first, other, house]
    assert running_jobs(db, workspace.id) == [first]


def test_jobs_of_dead_processes_are_marked_and_others_left(db, workspace):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tuning = create_round(db, workspace.id, config={}, base_fingerprint="b")
    start_job(db, tuning.job_id, process.pid)
    mine = create_job(db, "ingest", None)
    start_job(db, mine.id, os.getpid())
    never_started = create_job(db, "ingest", None)
    process.kill()
    process.wait()
    dead = mark_dead(db)
    assert {work.id for work in dead} == {tuning.job_id, never_started.id}
    assert {(work.state, work.error) for work in dead} == {("failed", KILLED)}
    assert job(db, mine.id).state == "running"
    ended = tuning_round(db, tuning.id)
    assert (ended.state, ended.error) == ("failed", "the process was killed")
    assert ended.finished_at is not None
    create_round(db, workspace.id, config={}, base_fingerprint="b")


def test_a_zombie_is_dead(db):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    work = create_job(db, "ingest", None)
    start_job(db, work.id, process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert [dead.id for dead in mark_dead(db)] == [work.id]
    process.wait()


def test_a_pid_that_is_used_again_is_not_taken_for_the_old_one(db):
    """In a container the restarted server often gets the number of the dead one."""
    work = create_job(db, "ingest", None)
    start_job(db, work.id, os.getpid())
    with write_transaction(db):
        write(db, "update jobs set process = 'an-earlier-boot 12345'")
    assert [dead.id for dead in mark_dead(db)] == [work.id]
