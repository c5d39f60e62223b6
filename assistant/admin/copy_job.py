"""An adapter handed out from the page, to a folder or to the Hub: a job that any page can watch."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.background import beat, in_background, last_job
from storage import jobs
from storage.errors import BadInput, Refused
from storage.records import Adapter, Job

if TYPE_CHECKING:
    from assistant.app import App

EXPORT, PUSH = "export", "push"
KINDS = (EXPORT, PUSH)


def start_export(
    app: "App",
    known: Adapter,
    format: str,
    quantization: str,
    folder: str,
    *,
    anyway: str | None = None,
    actor: str,
) -> Job:
    """Queue an export to the new folder `folder` and begin it in a thread.

    With a reason in `anyway` one that answers otherwise than the adapter is kept all the same.
    BadInput for a place that cannot be one, Refused while another copy is being made.
    """
    place = _place(app, folder)

    def work(db: Database, queued: Job) -> None:
        from assistant.exports import export_adapter

        made = export_adapter(
            app,
            known.id,
            place,
            format=format,
            quantization=quantization,
            anyway=anyway,
            actor=actor,
            say=lambda share, note: beat(db, queued, share, f"adapter {known.id}: {note}"),
        )
        if made.folder is None:
            raise Refused(f"Nothing was kept: {made.said} With a reason it is kept all the same.")
        jobs.beat(db, queued.id, 1.0, f"adapter {known.id} is in {made.folder}. {made.said}")

    return in_background(app, EXPORT, known.workspace_id, work, _refuse_second)


def start_push(app: "App", known: Adapter, repo: str, *, public: bool, actor: str) -> Job:
    """Queue an upload to the Hub, private unless `public`, and begin it in a thread.

    BadInput without a repository's name, Refused while another copy is being made.
    """
    if not repo.strip():
        raise BadInput("Name the repository on the Hub: NAME/REPO.")

    def work(db: Database, queued: Job) -> None:
        from assistant.push import push_adapter

        beat(db, queued, 0.0, f"adapter {known.id}: pushing to {repo}")
        place = push_adapter(app, known.id, repo.strip(), public=public, actor=actor)
        seen = "readable by everybody" if public else "private"
        jobs.beat(db, queued.id, 1.0, f"adapter {known.id} is at {place}, {seen}")

    return in_background(app, PUSH, known.workspace_id, work, _refuse_second)


def last_copy(db: Database, workspace_id: int) -> Job | None:
    """The newest export or push of the workspace, running or not."""
    return last_job(db, workspace_id, *KINDS)


def _place(app: "App", folder: str) -> Path:
    """A new folder outside of our own: in there a copy would be taken for ours, or backed up."""
    path = Path(folder.strip()).expanduser()
    if not folder.strip() or not path.is_absolute():
        raise BadInput(f"{folder.strip()!r} is no full path: name a new folder on the server.")
    root = app.datadir.root.resolve()
    if root in (path.resolve(), *path.resolve().parents):
        raise BadInput(f"{path} is in the data directory: name a new folder outside of it.")
    if path.exists():
        raise BadInput(f"{path} exists already: name a new folder.")
    return path


def _refuse_second(db: Database) -> None:
    if any(job.kind in KINDS for job in jobs.running_jobs(db)):
        raise Refused("A copy of an adapter is being made: wait for it, or cancel it.")
