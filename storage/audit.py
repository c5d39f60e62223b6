"""Who did what, append-only. A row's hash covers the row before it, so a change shows.

Whoever can write to the file can also make all hashes anew, or leave out the last rows: that shows
only beside a head, the newest row's hash, that was noted elsewhere.

`detail` holds ids and settings, never what people wrote: an audit row cannot be erased.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from storage.database import NEXT, insert, one, rows, write_transaction
from storage.errors import BadInput
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


@dataclass(frozen=True)
class AuditChain:
    """What a walk along all acts found."""

    entries: int
    head: str
    """The newest act's hash, to be noted elsewhere; "" where nobody did anything."""
    altered: int | None
    """The id of the first act whose hash does not follow from it and those before."""
    noted: int | None = None
    """The id of the act whose hash the noted head is."""
    missing: bool = False
    """A head was given, and none of the unaltered acts has it."""

    @property
    def kept(self) -> bool:
        """Whether every act is as it was written, as far as the file and the head can tell."""
        return self.altered is None and not self.missing

    @property
    def said(self) -> str:
        """All of it as a sentence."""
        if self.altered is not None:
            return f"row {self.altered} was changed or one before it is gone"
        if self.missing:
            return "the noted head is in no row: rows are gone, or all were written anew"
        upto = "" if self.noted is None else f", those up to row {self.noted} as when it was noted"
        return f"{self.entries} rows, unaltered{upto}; head {self.head or 'none'}"


def audit(
    db: Database, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one act down, for example `audit(db, "user:1", "adapter promoted", "adapter:7")`."""
    with write_transaction(db):
        last = one(db, f"select {NEXT} as at, (select hash from audit order by id desc) as hash")
        assert last is not None
        row = {
            "at": last["at"],
            "actor": clean(actor),
            "action": clean(action),
            "subject": clean(subject),
            "detail": to_json(detail or {}),
        }
        insert(db, "audit", **row, hash=_hash(last["hash"] or "", row))


def list_audit(
    db: Database,
    limit: int = 100,
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    before: int | None = None,
) -> list[AuditEntry]:
    """The newest `limit` acts, newest first: those of an actor, an action, a subject, if given.

    `before` leaves out the act with this id and all that came after it.
    """
    wanted = {"actor": actor, "action": action, "subject": subject}
    given = {name: clean(value) for name, value in wanted.items() if value}
    conditions = [f"{name} = ?" for name in given] + (["id < ?"] if before else [])
    where = f"where {' and '.join(conditions)}" if conditions else ""
    found = rows(
        db,
        f"""select id, at, actor, action, subject, detail from audit {where}
        order by id desc limit ?""",
        *given.values(),
        *([before] if before else []),
        limit,
    )
    return [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in found]


def audited(db: Database, column: Literal["actor", "action"], most: int = 200) -> list[str]:
    """The different actors or actions there are, by name, `most` at most."""
    # each step jumps to the next one in the index, however many rows each has
    found = rows(
        db,
        f"""with recursive each(name) as (
            select min({column}) from audit
            union all select (select min({column}) from audit where {column} > name) from each
            where name is not null limit ?
        ) select name from each where name is not null""",
        most,
    )
    return [row["name"] for row in found]


def audit_chain(db: Database, noted: str = "") -> AuditChain:
    """Follow the hashes from the first act to the newest, and look for a head that was noted.

    All acts up to the noted one are those of then: its hash covers them. BadInput for a head that
    is no SHA-256 in hexadecimal.
    """
    noted = noted.strip().lower()
    if noted and not re.fullmatch("[0-9a-f]{64}", noted):
        raise BadInput(
            f"{noted[:80]!r} is no head of the audit: it has 64 digits from 0 to f, as "
            "`apprentice audit verify` shows it."
        )
    entries, head, altered, found = 0, "", None, None
    for row in db.query("select * from audit order by id"):
        entries += 1
        if altered is None and row["hash"] != _hash(head, row):
            altered = int(row["id"])
        head = row["hash"]
        if altered is None and head == noted:
            found = int(row["id"])
    return AuditChain(entries, head, altered, found, bool(noted) and found is None)


def _hash(before: str, row: Mapping[str, str]) -> str:
    fields = [before, *(row[name] for name in ("at", "actor", "action", "subject", "detail"))]
    return hashlib.sha256(to_json(fields).encode()).hexdigest()
