"""An adapter deleted by a person: its row first, then what was loaded of it, then its files."""

import shutil

from sqlite_utils import Database

from assistant.app import App
from storage.adapters import delete_adapter
from storage.database import write_transaction
from storage.errors import Refused
from storage.jobs import running_jobs
from storage.records import Adapter
from storage.rounds import running_from

READERS = ("export", "push", "adapter import")
"""Kinds of jobs that read an adapter's files."""


def delete_with_files(app: App, db: Database, adapter_id: int, *, actor: str) -> Adapter:
    """Delete its files; its row stays for the lineage of those made from it. Returns what it was.

    Refused while it serves, while a round goes on from it, and while one of its workspace is
    copied or judged.
    """
    with write_transaction(db):
        known = delete_adapter(db, adapter_id, actor=actor)
        rounds = running_from(db, adapter_id)
        if rounds:
            raise Refused(
                f"Round {rounds[0]} goes on from adapter {adapter_id}: wait for its end, or "
                f"cancel it (`apprentice rounds cancel {rounds[0]}`)."
            )
        if any(job.kind in READERS for job in running_jobs(db, known.workspace_id)):
            raise Refused(
                "An adapter of this workspace is being copied or judged: wait for the end of that, "
                "or cancel it."
            )
    app.forget_adapter(adapter_id)
    shutil.rmtree(app.adapter_folder(adapter_id), ignore_errors=True)
    return known
