"""The part of `apprentice doctor` that needs Chroma, so that a running server answers it."""

from collections.abc import Iterator
from contextlib import closing

from assistant.app import App
from assistant.verbs import Event
from storage.documents import chunk_hashes
from storage.workspaces import list_workspaces


def index(app: App) -> Iterator[Event]:
    """For each workspace, how far the search index is from the database."""
    with closing(app.db()) as db:
        for workspace in list_workspaces(db):
            wanted = chunk_hashes(db, workspace.id)
            found = _indexed(app, workspace.id) if wanted else {}
            yield {
                "workspace": workspace.name,
                "chunks": len(wanted),
                "missing": sum(found.get(id) != hash for id, hash in wanted.items()),
                "stale": len(found.keys() - wanted.keys()),
            }


def _indexed(app: App, workspace_id: int) -> dict[int, str]:
    from knowledge.search import chunks_collection

    return app.index.hashes(chunks_collection(workspace_id, app.embedder))
