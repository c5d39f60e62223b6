"""Somebody's own writing on its way into a workspace: a job that any page can watch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.background import beat, in_background, last_job
from storage import jobs
from storage.errors import Refused
from storage.records import Job, Workspace

if TYPE_CHECKING:
    from assistant.app import App

KIND = "style"


def start_style(
    app: "App",
    workspace: Workspace,
    files: Sequence[Path],
    author: str | None,
    *,
    approve: bool,
    actor: str,
) -> Job:
    """Queue an import of these files and begin it in a thread; the files are deleted when read.

    Refused while another one runs in the workspace.
    """

    def alone(db: Database) -> None:
        running = last_style(db, workspace.id)
        if running is not None and running.finished_at is None:
            raise Refused("Writing is being taken in: wait for its end, or cancel it.")

    def work(db: Database, queued: Job) -> str:
        from assistant.commands.style import take_writing
        from assistant.commands.writing import read_writing

        try:
            beat(db, queued, 0.0, "reading")
            found = read_writing(files, author)
        finally:
            for path in files:
                path.unlink(missing_ok=True)
        warnings = []
        for event in take_writing(app, workspace.name, found, approve=approve, by=actor):
            if "progress" in event:
                beat(db, queued, event["progress"], event["note"])
            elif "warning" in event:
                warnings.append(event["warning"])
            else:
                jobs.beat(db, queued.id, 1.0, _said(event))
        return "\n".join(warnings)

    return in_background(app, KIND, workspace.id, work, alone)


def last_style(db: Database, workspace_id: int) -> Job | None:
    """The newest import of writing in the workspace, running or not."""
    return last_job(db, workspace_id, KIND)


def _said(event: dict[str, object]) -> str:
    there = f", {event['already_there']} there already" if event["already_there"] else ""
    return (
        f"texts taken in: {event['imported']}{there}; {event['approved']} approved, "
        f"{event['to_review']} to be reviewed under Feedback, New"
    )
