"""Jobs: all long work is a row that any page can watch and that outlives a reload."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.records import Job, WorkState
from storage.text import clean

KILLED = "the process was killed"

_COLUMNS = """id, kind, workspace_id, state, progress, note, cancel_requested, pid, created_at,
started_at, finished_at, heartbeat_at, error"""


def create_job(
    db: Database,
    kind: str,
    workspace_id: int | None,
    check: Callable[[Database], None] = lambda db: None,
) -> Job:
    """A queued job; `workspace_id` None is for work on the whole house.

    `check` may raise Refused: nobody else queues one between its look and this row.
    """
    with write_transaction(db):
        check(db)
        job_id = insert(db, "jobs", kind=clean(kind), workspace_id=workspace_id)
    return job(db, job_id)


def start_job(db: Database, job_id: int, pid: int) -> Job:
    """Queued to running, worked on by process `pid`. Refused when it is not queued."""
    with write_transaction(db):
        known = job(db, job_id)
        if known.state != "queued":
            raise Refused(f"Job {job_id} is already {known.state}: start a new one.")
        write(
            db,
            f"""update jobs set state = 'running', note = '', pid = ?, process = ?,
            started_at = {NOW}, heartbeat_at = {NOW} where id = ?""",
            pid,
            _process(pid),
            job_id,
        )
    return job(db, job_id)


def beat(db: Database, job_id: int, progress: float, note: str = "") -> bool:
    """Say how far it is (0.0 to 1.0) and with what; returns whether somebody asked to cancel."""
    with write_transaction(db):
        write(
            db,
            f"""update jobs set progress = ?, note = ?, heartbeat_at = {NOW}
            where id = ? and state = 'running'""",
            min(1.0, max(0.0, progress)),
            clean(note),
            job_id,
        )
    return job(db, job_id).cancel_requested


def note_waiting(db: Database, job_id: int, note: str) -> None:
    """Say what a queued job waits for; one that has started is left as it is."""
    with write_transaction(db):
        write(
            db,
            "update jobs set note = ? where id = ? and state = 'queued' and note != ?",
            clean(note),
            job_id,
            clean(note),
        )


def finish_job(db: Database, job_id: int, state: WorkState, error: str | None = None) -> Job:
    """To `done`, `failed` or `cancelled`; Refused when it has finished already."""
    if state not in ("done", "failed", "cancelled"):
        raise BadInput(f"{state!r} is no end of a job: use done, failed or cancelled.")
    with write_transaction(db):
        known = job(db, job_id)
        if known.finished_at is not None:
            raise Refused(f"Job {job_id} is already {known.state}: nothing to finish.")
        write(
            db,
            f"""update jobs set state = ?, error = ?, finished_at = {NOW},
            progress = case when ? = 'done' then 1.0 else progress end where id = ?""",
            state,
            clean(error) if error else None,
            state,
            job_id,
        )
    return job(db, job_id)


def request_cancel(db: Database, job_id: int) -> Job:
    """Ask its worker to stop; one that has finished stays as it is. NotFound if unknown."""
    with write_transaction(db):
        write(
            db,
            "update jobs set cancel_requested = 1 where id = ? and finished_at is null",
            job(db, job_id).id,
        )
    return job(db, job_id)


def job(db: Database, job_id: int) -> Job:
    """The job with this id; NotFound otherwise."""
    row = one(db, f"select {_COLUMNS} from jobs where id = ?", job_id)
    if row is None:
        raise NotFound(f"There is no job {job_id}: its workspace may be deleted.")
    return _job(row)


def list_jobs(db: Database, workspace_id: int | None = None, limit: int = 50) -> list[Job]:
    """The newest jobs first, of one workspace or (None) of all."""
    found = rows(
        db,
        f"""select {_COLUMNS} from jobs where ? is null or workspace_id = ?
        order by id desc limit ?""",
        workspace_id,
        workspace_id,
        limit,
    )
    return [_job(row) for row in found]


def running_jobs(db: Database, workspace_id: int | None = None) -> list[Job]:
    """Queued and running jobs, oldest first, of one workspace or (None) of all."""
    found = rows(
        db,
        f"""select {_COLUMNS} from jobs where state in ('queued', 'running')
        and (? is null or workspace_id = ?) order by id""",
        workspace_id,
        workspace_id,
    )
    return [_job(row) for row in found]


def mark_dead(db: Database) -> list[Job]:
    """Fail the jobs whose process is gone; call it while owning the data directory, at start.

    A job still queued then belongs to an owner that died before starting it.
    """
    dead = []
    with write_transaction(db):
        for row in rows(db, "select * from jobs where state in ('queued', 'running')"):
            if row["state"] == "running" and _alive(row["pid"], row["process"]):
                continue
            dead.append(finish_job(db, row["id"], "failed", KILLED))
    return dead


def _alive(pid: int, process: str | None) -> bool:
    if process is not None:
        return _process(pid) == process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process(pid: int) -> str | None:
    """Boot and start time of a process; None when it is gone or the system has no /proc.

    A pid alone is not enough: in a container the restarted server often gets the old number.
    """
    try:
        # the name in parentheses may hold spaces; the start time is field 22, 20th after it
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if after_name[0] == "Z" else f"{boot} {after_name[19]}"


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "cancel_requested": bool(row["cancel_requested"])})
