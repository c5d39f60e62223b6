"""Backups that may hold what was erased: deleted, and struck from the certificates."""

from collections.abc import Iterator

from sqlite_utils import Database

from assistant.app import App
from assistant.certificate import write_certificate
from storage.backup import Backup, holding_erased, purge
from storage.erasure import list_erasures


def purge_backups(app: App, db: Database, *, actor: str) -> Iterator[tuple[Backup, str]]:
    """Delete those made before the last erasure; each with what was found in its place.

    `deleted`, `gone` or `another file`, which is left alone. The certificates are written again,
    also when one cannot be deleted (Refused).
    """
    try:
        for item in holding_erased(db):
            yield item, purge(db, item, actor=actor)
    finally:
        for known in list_erasures(db):
            if known.state == "done":
                write_certificate(db, app.datadir, known)
