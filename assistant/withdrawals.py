"""Replies whose asker may no longer have them: ended within a second of the key's revocation, the
user's removal or the workspace's closing.

Who asked is looked up again while a reply is made; one thread does so for all of them.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from sqlite_utils import Database

from storage.errors import ApprenticeError, Moving, NotFound, Refused
from storage.keys import is_valid
from storage.users import may_use_ids
from storage.workspaces import workspace_by_id

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Between two looks: the engine then stops at its next token."""


class Withdrawn(Refused):
    """The right to a reply was taken away while it was made."""


@dataclass(frozen=True)
class _Asker:
    """Who asked where, as conversations name their owners."""

    owner: str
    workspace_id: int


class Withdrawals:
    """The replies of one app whose askers are watched; threads may share it."""

    def __init__(self, open_db: Callable[[], Database]) -> None:
        self._open_db = open_db
        self._watched: dict[threading.Event, _Asker] = {}
        self._lock = threading.Lock()
        self._at_work = False

    @contextmanager
    def watched(
        self, owner: str, workspace_id: int, cancel: threading.Event
    ) -> Iterator[Callable[[], None]]:
        """Sets `cancel` when the right is taken away; what is given raises Withdrawn from then on.

        Who never had one, such as a command, is not watched.
        """
        asker = _Asker(owner, workspace_id)
        if self._lost(asker):
            yield lambda: None
            return
        with self._lock:
            self._watched[cancel] = asker
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._watch, name="withdrawals", daemon=True).start()
        try:
            yield lambda: self._refuse(asker, cancel)
        finally:
            with self._lock:
                self._watched.pop(cancel, None)

    def _refuse(self, asker: _Asker, cancel: threading.Event) -> None:
        said = self._lost(asker) if cancel.is_set() else ""
        if said:
            raise Withdrawn(f"{said} What was said until then is kept.")

    def _lost(self, asker: _Asker) -> str:
        with closing(self._open_db()) as db:
            return _lost(db, asker)

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            with self._lock:
                watched = dict(self._watched)
                if not watched:
                    self._at_work = False
                    return
            try:
                with closing(self._open_db()) as db:
                    lost = {asker for asker in {*watched.values()} if _lost(db, asker)}
            except (ApprenticeError, sqlite3.Error):
                log.exception("who asked could not be looked up")
                continue
            for cancel, asker in watched.items():
                if asker in lost:
                    cancel.set()


def _lost(db: Database, asker: _Asker) -> str:
    """Why this asker may not have a reply here; '' where they may, or are of the house."""
    kind, _, rest = asker.owner.partition(":")
    if kind not in ("user", "visitor", "api"):
        return ""
    try:
        access = workspace_by_id(db, asker.workspace_id).access
    except NotFound:
        return "The workspace was deleted meanwhile."
    except Moving:
        return "The workspace moved to another server meanwhile: load the page again."
    embedded = kind == "visitor" and rest.startswith("embed-")
    key = rest.split("-")[1] if embedded else rest.partition(":")[0] if kind == "api" else ""
    if key and not (key.isdecimal() and is_valid(db, int(key))):
        return "The key was revoked meanwhile."
    if kind == "user":
        may = rest.isdecimal() and asker.workspace_id in may_use_ids(db, int(rest))
    else:
        may = kind == "api" or access == "public" or (embedded and access == "embed")
    return "" if may else "You may no longer ask in this workspace."
