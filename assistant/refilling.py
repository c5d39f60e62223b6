"""The search index filled again from SQLite: at the start, and when it was lost while serving."""

import logging
import threading
from contextlib import closing

from assistant.app import App
from assistant.commands.documents import sync
from storage.errors import ApprenticeError
from storage.workspaces import list_workspaces

log = logging.getLogger(__name__)

_TURN = threading.Lock()
_THREAD = "refill"


def fill_index(app: App) -> None:
    """Make the index of every workspace equal to the database; one thread at a time.

    Raises ApprenticeError when the folder cannot be written.
    """
    with _TURN, closing(app.db()) as db:
        app.index.rebuilt = False  # first: lost again meanwhile, it is to be filled again
        for item in list_workspaces(db):
            sync(app, db, item.id)


def refill_lost(app: App) -> None:
    """Begin to fill the index if it was lost; replies find documents by words meanwhile."""
    lost = app.has("index") and app.index.rebuilt
    if lost and not any(one.name == _THREAD for one in threading.enumerate()):
        log.warning("the search index was lost or damaged and is made anew")
        threading.Thread(target=_refill, args=(app,), name=_THREAD, daemon=True).start()


def _refill(app: App) -> None:
    try:
        fill_index(app)
        log.info("the search index is whole again")
    except ApprenticeError as error:
        log.error("%s", error)
