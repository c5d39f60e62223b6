"""A backup made from the page, into the data directory: a job that any page can watch."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.background import beat, in_background, last_job
from storage import jobs
from storage.backup import Backup, make_backup, recorded_backups
from storage.errors import Refused
from storage.records import Job

if TYPE_CHECKING:
    from assistant.app import App

KIND = "backup"


def start_backup(app: "App", *, actor: str) -> Job:
    """Queue a backup into the folder `backups` of the data directory and begin it in a thread.

    Refused while another one is being made.
    """

    def alone(db: Database) -> None:
        if any(job.kind == KIND for job in jobs.running_jobs(db)):
            raise Refused("A backup is being made: wait for it, or cancel it.")

    def work(db: Database, queued: Job) -> None:
        name = f"backup-{datetime.now(UTC):%Y%m%d-%H%M%S}-{queued.id}.tar.gz"
        made = make_backup(
            app.datadir,
            app.datadir.backups / name,
            actor=actor,
            say=lambda share, note: beat(db, queued, share, note),
        )
        size = f"{made.size / 2**20:.1f} MB"
        jobs.beat(db, queued.id, 1.0, f"{made.path}, {size}, verified")

    return in_background(app, KIND, None, work, alone)


def last_backup(db: Database) -> Job | None:
    """The newest backup that was begun from a page, running or not."""
    return last_job(db, None, KIND)


def backups_here(app: "App", db: Database) -> list[Backup]:
    """Those that lie whole in the data directory's own folder, the newest first."""
    home = app.datadir.backups.absolute()
    here = [item for item in recorded_backups(db) if Path(item.path).parent == home]
    return [item for item in reversed(here) if item.size and Path(item.path).is_file()]
