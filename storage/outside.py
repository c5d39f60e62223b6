"""What people outside the house gave, by the website or the API: looked at before it is learned.

Every read stops at a limit and goes by the index of such rows alone, so that a million rows of
staff or of an import cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from storage.audit import audit
from storage.database import rows, write, write_transaction
from storage.text import clean, to_json

_SELECT = """select f.id, f.contributor, f.question, f.created_at,
    coalesce(nullif(f.approved_correction, ''), f.correction, '') as text,
    exists (select 1 from freed_feedback z where z.feedback_id = f.id) as freed
from feedback f indexed by feedback_outside
where f.workspace_id = ? and f.origin in ('widget', 'api')"""


@dataclass(frozen=True, slots=True)
class OutsideRow:
    """One piece of feedback from outside."""

    id: int
    contributor: str
    question: str
    created_at: str
    text: str
    """The answer that it wants; '' for a bare thumb."""
    freed: bool
    """A reviewer decided on this very row."""


def approved_outside(db: Database, workspace_id: int, limit: int) -> list[OutsideRow]:
    """The first `limit` that were approved, by feedback id, without duplicates of other pairs."""
    found = rows(
        db,
        f"""{_SELECT} and f.status = 'approved'
        and not exists (select 1 from duplicates d where d.feedback_id = f.id)
        order by f.id limit ?""",
        *(workspace_id, limit),
    )
    return [OutsideRow(**{**row, "freed": bool(row["freed"])}) for row in found]


def waiting_outside(db: Database, workspace_id: int, limit: int) -> list[OutsideRow]:
    """The newest `limit` of each status that waits for a reviewer, newest first."""
    found = [
        row
        for status in ("new", "quarantined")
        for row in rows(
            db,
            f"{_SELECT} and f.status = ? order by f.id desc limit ?",
            *(workspace_id, status, limit),
        )
    ]
    made = [OutsideRow(**{**row, "freed": bool(row["freed"])}) for row in found]
    return sorted(made, key=lambda one: -one.id)


def own_texts(db: Database, workspace_id: int, limit: int) -> list[str]:
    """What the house itself wrote: the newest chunks, and approved answers of staff and imports."""
    chunks = rows(
        db,
        "select text from chunks where workspace_id = ? order by id desc limit ?",
        *(workspace_id, limit),
    )
    answers = rows(
        db,
        """select question || char(10) || coalesce(approved_correction, '') as text from (
            select question, approved_correction, origin from feedback
            where workspace_id = ? and status = 'approved' order by id desc limit ?
        ) where origin in ('staff', 'import')""",
        *(workspace_id, limit),
    )
    return [row["text"] for row in (*chunks, *answers)]


def givers(db: Database, ids: Sequence[int]) -> dict[int, str]:
    """Feedback id -> contributor, of those of `ids` that came from outside."""
    found = rows(
        db,
        """select id, contributor from feedback where id in (select value from json_each(?))
        and origin in ('widget', 'api')""",
        to_json(list(ids)),
    )
    return {row["id"]: row["contributor"] for row in found}


def free(db: Database, ids: Sequence[int], *, reviewer: str) -> int:
    """A reviewer decided on these themselves: no cap leaves them out. How many are from outside."""
    with write_transaction(db):
        found = rows(
            db,
            """select id from feedback where id in (select value from json_each(?))
            and origin in ('widget', 'api')
            and id not in (select feedback_id from freed_feedback)""",
            to_json(list(ids)),
        )
        for row in found:
            write(
                db,
                "insert into freed_feedback (feedback_id, reviewer) values (?, ?)",
                *(row["id"], clean(reviewer)),
            )
            audit(db, reviewer, "feedback freed of caps", f"feedback:{row['id']}")
    return len(found)
