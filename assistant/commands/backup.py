"""`apprentice backup FILE`, `apprentice backup purge` and `apprentice restore FILE`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from assistant.app import App
from assistant.commands.who import actor
from assistant.purging import purge_backups
from assistant.settings import Settings
from assistant.verbs import Event, Events
from storage.backup import make_backup, restore_backup
from storage.database import open_database
from storage.datadir import DataDir
from storage.house import forget_install

PURGE = "purge"
"""Typed in place of a file."""


def backup(app: App, *, file: str) -> Iterator[Event]:
    """Copy everything that must survive to a new file, verified, while the server goes on.

    `purge` instead of a file deletes the copies made before the last erasure.
    """
    if file == PURGE:
        yield from _purged(app)
        return
    from assistant.commands.working import working

    target = Path(file)
    made = yield from working(lambda say: make_backup(app.datadir, target, actor=actor(), say=say))
    yield {"backup": made.id, "file": made.path, "size": made.size, "sha256": made.hash}


def restore(settings: Settings, file: Path) -> Events:
    """Make the data directory, which must be empty, from a backup that verifies."""
    manifest = restore_backup(file, settings.data)
    with closing(open_database(DataDir(settings.data).database)) as db:
        forget_install(db)  # where the other one still runs, they would delete each other's vectors
    yield {
        "warning": f"The copy is of {manifest['created_at']}: what was erased after that is back. "
        "Erase it again; the certificates since then name it."
    }
    yield {
        "data": str(settings.data.absolute()),
        "created_at": manifest["created_at"],
        "files": len(manifest["files"]),
        "rows": manifest["rows"],
    }
    return 0


def _purged(app: App) -> Iterator[Event]:
    """Copies that may hold what was erased; the certificates are written again without them."""
    with closing(app.db()) as db:
        for item, found in purge_backups(app, db, actor=actor()):
            yield {"backup": item.id, "file": item.path, "found": found}
