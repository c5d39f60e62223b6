"""Every adapter taught again on another base model: the house's job, which any page can watch."""

from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.background import Cancelled, beat, in_background, last_job
from storage import jobs
from storage.errors import ApprenticeError, BadInput, Refused
from storage.records import Job
from storage.rounds import list_rounds
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App
    from assistant.rebase import Taught

KIND = "rebase"


def start_rebase(app: "App", base_model: str, *, actor: str) -> Job:
    """Queue a rebase to `base_model` and begin it in a thread.

    BadInput without a name, Refused while another one is at work.
    """
    from assistant import rebase

    if not base_model.strip():
        raise BadInput("Name the base model: a Hub id, or a folder on the server.")
    name = rebase.full_name(base_model.strip())

    def alone(db: Database) -> None:
        if any(job.kind == KIND for job in jobs.running_jobs(db)):
            raise Refused("The adapters are being taught on another base: wait, or cancel it.")

    def work(db: Database, queued: Job) -> None:
        try:
            jobs.beat(db, queued.id, 1.0, _rebased(app, db, queued, name, actor))
        except ApprenticeError:
            if jobs.job(db, queued.id).cancel_requested:
                raise Cancelled("It was cancelled.") from None
            raise

    return in_background(app, KIND, None, work, alone)


def last_rebase(db: Database) -> Job | None:
    """The newest rebase of the house, running or not."""
    return last_job(db, None, KIND)


def cancel_rebase(app: "App", db: Database) -> None:
    """Ask the rebase and the round that it is at to stop; the old base stays. Refused if none."""
    job = last_rebase(db)
    if job is None or job.finished_at is not None:
        raise Refused("The adapters are not being taught on another base.")
    jobs.request_cancel(db, job.id)
    for workspace in list_workspaces(db):
        for item in list_rounds(db, workspace.id, 1):
            if item.finished_at is None and item.base_fingerprint != app.base.fingerprint:
                jobs.request_cancel(db, item.job_id)


def _rebased(app: "App", db: Database, queued: Job, name: str, actor: str) -> str:
    """Does it; returns what came of it, in words."""
    from assistant import rebase
    from assistant.commands.documents import mend

    beat(db, queued, 0.0, f"looking for {name}")
    other, serving = rebase.to_teach(app, name)
    for workspace, _ in serving:
        mend(app, db, workspace.id)
    taught, became = rebase.rebase(
        app,
        other,
        serving,
        dials={},
        in_server=True,
        actor=actor,
        say=lambda share, note: beat(db, queued, share, note),
    )
    return " ".join([rebase.outcome(app, name, became), *map(_told, taught)])


def _told(one: "Taught") -> str:
    reasons = " ".join(one.round.reasons)
    return f"{one.workspace.name}, adapter {one.adapter_id}: {one.round.verdict}. {reasons}"
