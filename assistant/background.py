"""Work that outlives the page that asked for it: a thread, and a row that any page can watch."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from sqlite_utils import Database

from storage import jobs
from storage.errors import ApprenticeError
from storage.records import Job

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)


class Cancelled(ApprenticeError):
    """Somebody asked for the job to be cancelled."""


def in_background(
    app: "App",
    kind: str,
    workspace_id: int | None,
    work: Callable[[Database, Job], str | None],
    check: Callable[[Database], None] = lambda db: None,
) -> Job:
    """Queue a job and begin `work(db, job)` in a thread; without a workspace it is the house's.

    `check(db)` may refuse it in the same transaction: of two in one instant one is refused.

    What it returns is kept as the job's error although the job is done: what went wrong in parts.
    What it raises fails the job, but for Cancelled.
    """
    with closing(app.db()) as db:
        queued = jobs.create_job(db, kind, workspace_id, check)
    threading.Thread(target=_run, args=(app, queued, work), name=kind, daemon=True).start()
    return queued


def last_job(db: Database, workspace_id: int | None, *kinds: str) -> Job | None:
    """The newest job of these kinds in the workspace (None: in the house), running or not."""
    found = (job for job in jobs.list_jobs(db, workspace_id) if job.kind in kinds)
    return next(found, None)


def beat(db: Database, job: Job, progress: float, note: str) -> None:
    """Say how far it is; raises Cancelled when that was asked for."""
    if jobs.beat(db, job.id, progress, note):
        raise Cancelled("It was cancelled.")


@contextmanager
def at_work(db: Database, queued: Job) -> Iterator[list[str]]:
    """Work on a queued job: its row ends as the block does, and what the block raised goes on.

    Sentences put into the list are kept as the job's error although it is done: what went wrong in
    parts.
    """
    jobs.start_job(db, queued.id, os.getpid())
    problems: list[str] = []
    try:
        yield problems
    except (Cancelled, GeneratorExit, KeyboardInterrupt):
        jobs.finish_job(db, queued.id, "cancelled")
        raise
    except ApprenticeError as error:
        jobs.finish_job(db, queued.id, "failed", error=str(error))
        raise
    except BaseException as error:
        jobs.finish_job(db, queued.id, "failed", error=f"A fault: {error!r}")
        raise
    jobs.finish_job(db, queued.id, "done", error="\n".join(problems) or None)


def _run(app: "App", queued: Job, work: Callable[[Database, Job], str | None]) -> None:
    try:
        with closing(app.db()) as db, at_work(db, queued) as problems:
            if said := work(db, queued):
                problems.append(said)
    except ApprenticeError:
        pass  # its row says why
    except BaseException:
        log.exception("%s %d failed", queued.kind, queued.id)
