"""What left the house: exported adapters, pushed ones, and bundles taken elsewhere to train.

An erasure cannot reach these. So each is on record with its place, for a person to go and delete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from storage.database import insert, rows, write_transaction
from storage.text import clean

CopyKind = Literal["export", "push", "bundle"]
_COLUMNS = "id, kind, adapter_id, round_id, place, format, hash, actor, created_at"


@dataclass(frozen=True)
class Copy:
    """One copy: of an adapter (`export`, `push`) or of a round's `bundle`."""

    id: int
    kind: CopyKind
    adapter_id: int | None
    round_id: int | None
    place: str
    format: str
    hash: str
    """The adapter's manifest hash, or the bundle's hash: which version left."""
    actor: str
    created_at: str


def record_copy(
    db: Database,
    *,
    kind: CopyKind,
    place: str,
    format: str,
    actor: str,
    adapter_id: int | None = None,
    round_id: int | None = None,
    hash: str = "",
) -> Copy:
    """Note that a copy now lies at `place`. An adapter's copy names its round too, if it has one.

    Call this before the copy gets its final name: one that is on record and missing does no harm.
    """
    with write_transaction(db):
        copy_id = insert(
            db,
            "copies",
            kind=kind,
            adapter_id=adapter_id,
            round_id=round_id,
            place=clean(place),
            format=format,
            hash=hash,
            actor=clean(actor),
        )
    found = rows(db, f"select {_COLUMNS} from copies where id = ?", copy_id)
    return Copy(**found[0])


def copies_of(
    db: Database, adapter_ids: Sequence[int], round_ids: Sequence[int] = ()
) -> list[Copy]:
    """Every copy of these adapters and rounds, oldest first."""
    adapters, rounds = (", ".join("?" * len(ids)) for ids in (adapter_ids, round_ids))
    found = rows(
        db,
        f"""select {_COLUMNS} from copies
        where adapter_id in ({adapters}) or round_id in ({rounds}) order by id""",
        *adapter_ids,
        *round_ids,
    )
    return [Copy(**row) for row in found]


def feedback_exports(db: Database, before: str) -> list[Copy]:
    """Files of what people wrote, made until then: a copy of no adapter and no round."""
    found = rows(
        db,
        f"""select {_COLUMNS} from copies
        where adapter_id is null and round_id is null and created_at < ? order by id""",
        before,
    )
    return [Copy(**row) for row in found]
