"""Uploaded files on their way into a workspace, or its index anew: jobs that any page can watch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.background import in_background, last_job
from storage import jobs
from storage.errors import Refused
from storage.records import Job, Workspace

if TYPE_CHECKING:
    from assistant.app import App

KIND = "ingest"
REINDEX = "reindex"


def start_ingest(app: "App", workspace: Workspace, files: Sequence[Path]) -> Job:
    """Queue a job for these files and begin it in a thread; the files are deleted when read."""

    def work(db: Database, queued: Job) -> str:
        try:
            return "\n".join(_ingest(app, db, workspace, list(files), queued))
        finally:
            for path in files:
                path.unlink(missing_ok=True)

    return in_background(app, KIND, workspace.id, work)


def start_reindex(app: "App", workspace: Workspace) -> Job:
    """Queue a job that makes the workspace's part of the search index anew, and begin it.

    Refused while one of the workspace runs.
    """
    from assistant.commands.documents import reindex

    def check(db: Database) -> None:
        last = last_ingest(db, workspace.id)
        if last and last.finished_at is None:
            raise Refused("Documents are being read: wait for the end of that.")

    def work(db: Database, queued: Job) -> None:
        for event in reindex(app, workspace=workspace.name):
            jobs.beat(db, queued.id, 0.0, event.get("note", "done"))

    return in_background(app, REINDEX, workspace.id, work, check)


def last_ingest(db: Database, workspace_id: int) -> Job | None:
    """The newest ingest of the workspace or work on its index, running or not."""
    return last_job(db, workspace_id, KIND, REINDEX)


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
