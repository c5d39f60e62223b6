"""What is taught as it is written although it looks private: what a reviewer freed, and what the
workspace's documents and instructions say themselves."""

import hashlib
from collections.abc import Sequence

from sqlite_utils import Database

from storage.audit import audit
from storage.database import rows, write, write_transaction

WHOLE = ""
"""In place of a value's hash: the whole row was freed."""
LOOKED_AT = 50
"""Chunks at most that are read again because they hold the same letters."""
_COMPACT = "upper(text)"
for _sign in " -/().":
    _COMPACT = f"replace({_COMPACT}, '{_sign}', '')"


def unmasked_rows(db: Database, workspace_id: int) -> frozenset[int]:
    """The feedback ids of rows that were freed as a whole."""
    found = rows(db, f"select u.feedback_id as id {_FREED} and u.value = ''", workspace_id)
    return frozenset(row["id"] for row in found)


def unmasked_values(db: Database, workspace_id: int) -> frozenset[str]:
    """The hashes of the values that were freed, in whatever row that was."""
    found = rows(db, f"select distinct u.value {_FREED} and u.value != ''", workspace_id)
    return frozenset(row["value"] for row in found)


def hash_of(kind: str, key: str) -> str:
    """What a value is known by here."""
    return hashlib.sha256(f"{kind}\n{key}".encode()).hexdigest()


def unmask(db: Database, feedback_id: int, hashes: Sequence[str], *, reviewer: str) -> int:
    """Free these values, or WHOLE, for rounds to come; how many were not free before. Audited."""
    with write_transaction(db):
        known = {
            row["value"]
            for row in rows(db, "select value from unmasked where feedback_id = ?", feedback_id)
        }
        new = [one for one in dict.fromkeys(hashes) if one not in known]
        for one in new:
            write(
                db,
                "insert into unmasked (feedback_id, value, reviewer) values (?, ?, ?)",
                *(feedback_id, one, reviewer),
            )
        if new:
            _audit(db, reviewer, "feedback unmask", feedback_id, new)
    return len(new)


def mask_again(db: Database, feedback_id: int, *, reviewer: str) -> int:
    """Take back what was freed in this row; how many values, the whole row as one. Audited."""
    with write_transaction(db):
        known = rows(db, "select value from unmasked where feedback_id = ?", feedback_id)
        if known:
            write(db, "delete from unmasked where feedback_id = ?", feedback_id)
            freed = [row["value"] for row in known]
            _audit(db, reviewer, "feedback mask", feedback_id, freed)
    return len(known)


def freed_in(db: Database, feedback_id: int) -> tuple[bool, int]:
    """Whether the whole row was freed, and how many values in it."""
    found = rows(db, "select value from unmasked where feedback_id = ?", feedback_id)
    whole = any(row["value"] == WHOLE for row in found)
    return whole, len(found) - whole


def chunks_with(db: Database, workspace_id: int, text: str, *, compact: bool) -> list[str]:
    """Some chunks (LOOKED_AT) with these letters, whatever their case.

    With `compact`, where they stand without the spaces and dashes between them.
    """
    said = _COMPACT if compact else "upper(text)"
    found = rows(
        db,
        f"select text from chunks where workspace_id = ? and instr({said}, ?) limit {LOOKED_AT}",
        *(workspace_id, text.upper()),
    )
    return [row["text"] for row in found]


_FREED = """from unmasked u join feedback f on f.id = u.feedback_id
    where f.workspace_id = ?"""


def _audit(db: Database, reviewer: str, act: str, feedback_id: int, freed: Sequence[str]) -> None:
    whole = WHOLE in freed
    audit(
        db,
        *(reviewer, act, f"feedback:{feedback_id}"),
        {"row": whole, "values": len(freed) - whole},
    )
