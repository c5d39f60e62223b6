"""`apprentice overview`."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from assistant.app import App
from assistant.overview import disk_use, overview
from assistant.verbs import Event
from storage.workspaces import workspace as workspace_named


def show(app: App, *, workspace: str) -> Iterator[Event]:
    """What goes on in a workspace, and the bytes that the data directory takes."""
    with closing(app.db()) as db:
        found = overview(db, workspace_named(db, workspace))
    yield {
        "workspace": workspace,
        **asdict(found),
        "serving": found.serving or "base",
        "disk": disk_use(app.datadir.root),
    }
