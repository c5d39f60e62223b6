"""Backups that may hold what was erased: deleted, and struck from the certificates."""

from collections.abc import Iterator

from sqlite_utils import Database

from assistant.app import App
from assistant.certificate import write_certificate
from storage.backup import Backup, holding_erased, purge
from storage.datadir import DataDir
from storage.erasure import list_erasures


def purge_backups(app: App, db: Database, *, actor: str) -> Iterator[tuple[Backup, str]]:
    """Delete those made before the last erasure; each with what was found in its place.

    `deleted`, `gone`, or left alone: `another file`, or `elsewhere` (a snapshot on the Hub: it goes
    when the next one is up). The certificates are written again, also when one cannot be deleted
    (Refused).
    """
    try:
        for item in holding_erased(db):
            yield item, purge(db, item, actor=actor)
    finally:
        rewrite_certificates(db, app.datadir)


def rewrite_certificates(db: Database, datadir: DataDir) -> None:
    """Have every certificate name the copies that there are now."""
    for known in list_erasures(db):
        if known.state == "done":
            write_certificate(db, datadir, known)
