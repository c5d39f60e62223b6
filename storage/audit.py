"""Who did what, append-only. A row's hash covers the row before it, so a change shows.

`detail` holds ids and settings, never what people wrote: an audit row cannot be erased.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from storage.database import NOW, insert, one, rows, write_transaction
from storage.text import clean, to_json


@dataclass(frozen=True)
class AuditEntry:
    """One act: `actor` did `action` to `subject`."""

    id: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


def audit(
    db: Database, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one act down, for example `audit(db, "user:1", "adapter promoted", "adapter:7")`."""
    with write_transaction(db):
        last = one(db, f"select {NOW} as at, (select hash from audit order by id desc) as hash")
        assert last is not None
        row = {
            "at": last["at"],
            "actor": clean(actor),
            "action": clean(action),
            "subject": clean(subject),
            "detail": to_json(detail or {}),
        }
        insert(db, "audit", **row, hash=_hash(last["hash"] or "", row))


def list_audit(db: Database, limit: int = 100) -> list[AuditEntry]:
    """The newest `limit` acts, newest first."""
    found = rows(
        db,
        "select id, at, actor, action, subject, detail from audit order by id desc limit ?",
        limit,
    )
    return [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in found]


def first_altered_entry(db: Database) -> int | None:
    """The id of the first act whose hash does not follow from it; None when all do."""
    before = ""
    for row in rows(db, "select * from audit order by id"):
        if row["hash"] != _hash(before, row):
            return int(row["id"])
        before = row["hash"]
    return None


def _hash(before: str, row: Mapping[str, str]) -> str:
    fields = [before, *(row[name] for name in ("at", "actor", "action", "subject", "detail"))]
    return hashlib.sha256(to_json(fields).encode()).hexdigest()
