"""`apprentice jobs list|cancel`: the long work that was begun on a page or by a command."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from assistant.admin.rebase_job import KIND as REBASE
from assistant.admin.rebase_job import cancel_rebase
from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from storage import jobs
from storage.audit import audit
from storage.errors import Refused


def list_some(app: App, *, limit: int) -> Iterator[Event]:
    """Of every workspace, the newest first."""
    with closing(app.db()) as db:
        for item in jobs.list_jobs(db, limit=limit):
            row = asdict(item)
            # an event with `progress` is a line of progress, no result
            yield {"job": row.pop("id"), "done": row.pop("progress"), **row}


def cancel(app: App, *, id: int) -> Iterator[Event]:
    """Ask a job to stop; it does so at its next step. Refused for one that has ended."""
    with closing(app.db()) as db:
        item = jobs.job(db, id)
        if item.finished_at is not None:
            raise Refused(f"Job {id} is already {item.state}: there is nothing to cancel.")
        if item.kind == REBASE:
            cancel_rebase(app, db)  # the round that it is at stops with it
        else:
            jobs.request_cancel(db, id)
        audit(db, actor(), "job cancelled", f"job:{id}", {"kind": item.kind})
    yield {"job": id, "cancel": "requested"}
