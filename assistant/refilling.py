"""The search index filled again from SQLite: at the start, and when it was lost while serving.

Or when its server was away: what was to be written meanwhile may be missing.
"""

import logging
import re
import threading
from contextlib import closing

from assistant.app import App
from assistant.commands.documents import sync
from storage.errors import ApprenticeError
from storage.workspaces import list_workspaces

log = logging.getLogger(__name__)

_TURN = threading.Lock()
_THREAD = "refill"
_OF_A_WORKSPACE = re.compile(r"(?:chunks|corrections)-(\d+)-.+")


def fill_index(app: App) -> None:
    """Make the index of every workspace equal to the database; one thread at a time.

    What is left of workspaces that were deleted goes. Raises ApprenticeError when the folder cannot
    be written or the server does not answer.
    """
    with _TURN, closing(app.db()) as db:
        app.index.rebuilt = False  # first: lost again meanwhile, it is to be filled again
        for item in list_workspaces(db):
            sync(app, db, item.id)
        names = app.index.collections()  # before: a workspace may be made meanwhile
        known = {item.id for item in list_workspaces(db)}
        for name in names:
            of = _OF_A_WORKSPACE.fullmatch(name)
            if of and int(of[1]) not in known:
                app.index.drop(name)


def refill_lost(app: App) -> None:
    """Begin to fill the index if it was lost; replies find documents by words meanwhile."""
    lost = app.has("index") and app.index.rebuilt
    if lost and not any(one.name == _THREAD for one in threading.enumerate()):
        threading.Thread(target=_refill, args=(app,), name=_THREAD, daemon=True).start()


def _refill(app: App) -> None:
    try:
        if not app.index.answers():
            return  # said once, when it went away; the next look is in five seconds
        log.warning("the search index was lost, damaged or away: what it lacks is made anew")
        fill_index(app)
        log.info("the search index is whole again")
    except ApprenticeError as error:
        log.error("%s", error)
