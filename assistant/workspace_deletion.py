"""A workspace deleted with all that is in it: its rows, its files, its part of the index."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.declared_checks import forget_unused_copies
from storage.adapters import list_adapters
from storage.records import Workspace
from storage.rounds import list_rounds
from storage.workspaces import contents, delete_workspace, workspace

if TYPE_CHECKING:
    from assistant.app import App


def what_is_lost(db: Database, known: Workspace) -> str:
    """What stands in the workspace, in words, for somebody who is about to delete it."""
    counted = [f"{count} {name}" for name, count in contents(db, known.id).items() if count]
    return ", ".join(counted) or "its settings; nothing else is in it"


def delete_all_of(app: "App", db: Database, name: str, *, actor: str) -> None:
    """Delete it. NotFound for an unknown one; Refused for the default one and while a job runs."""
    from knowledge.ingest import forget_workspace

    known = workspace(db, name)
    folders = _folders(app, db, known)
    delete_workspace(db, known.name, actor=actor)
    forget_workspace(app.datadir, app.index, known.id)
    forget_unused_copies(app)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _folders(app: "App", db: Database, known: Workspace) -> list[Path]:
    rounds = [app.datadir.rounds / str(item.id) for item in list_rounds(db, known.id, limit=-1)]
    made = [app.adapter_folder(item.id) for item in list_adapters(db, known.id)]
    return rounds + made
