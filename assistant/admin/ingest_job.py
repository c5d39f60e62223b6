"""Uploaded files on their way into a workspace: a job that any page can watch."""

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from storage import jobs
from storage.errors import ApprenticeError
from storage.records import Job, Workspace

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

KIND = "ingest"


def start_ingest(app: "App", workspace: Workspace, files: Sequence[Path]) -> Job:
    """Queue a job for these files and begin it in a thread; the files are deleted when read."""
    with closing(app.db()) as db:
        queued = jobs.create_job(db, KIND, workspace.id)
    threading.Thread(
        target=_run, args=(app, workspace, list(files), queued), name="ingest", daemon=True
    ).start()
    return queued


def last_ingest(db: Database, workspace_id: int) -> Job | None:
    """The newest ingest of the workspace, running or not."""
    found = (job for job in jobs.list_jobs(db, workspace_id) if job.kind == KIND)
    return next(found, None)


def _run(app: "App", workspace: Workspace, files: list[Path], queued: Job) -> None:
    with closing(app.db()) as db:
        jobs.start_job(db, queued.id, os.getpid())
        try:
            failed = _ingest(app, db, workspace, files, queued)
            jobs.finish_job(db, queued.id, "done", error="\n".join(failed) or None)
        except ApprenticeError as error:
            jobs.finish_job(db, queued.id, "failed", error=str(error))
        except BaseException as error:
            jobs.finish_job(db, queued.id, "failed", error=f"A fault: {error!r}")
            log.exception("ingest %d failed", queued.id)
        finally:
            for path in files:
                path.unlink(missing_ok=True)


def _ingest(
    app: "App", db: Database, workspace: Workspace, files: list[Path], queued: Job
) -> list[str]:
    """Ingest the files; returns a sentence for each one that could not be read."""
    from knowledge.ingest import ingest

    jobs.beat(db, queued.id, 0.0, f"reading {files[0].name}")
    events = ingest(
        db,
        app.datadir,
        app.index,
        app.embedder,
        workspace.id,
        files,
        max_tokens=app.settings.chunk_tokens,
        overlap=app.settings.chunk_overlap,
    )
    failed, counts = [], {"added": 0, "replaced": 0, "unchanged": 0}
    for number, event in enumerate(events, start=1):
        if event.status == "failed":
            failed.append(event.error or f"{event.name} could not be read.")
        else:
            counts[event.status] = counts.get(event.status, 0) + 1
        done = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        jobs.beat(db, queued.id, number / len(files), done or "nothing added")
    return failed
