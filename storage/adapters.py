"""Adapters: what rounds made, which one serves, and what each was taught.

`servings` is the stack of what served: promoting pushes, rolling back pops. An adapter that was
deleted keeps its row, because the lineage of its children goes through it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from storage.audit import audit
from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import NotFound, Refused
from storage.records import Adapter, RoundExample
from storage.text import to_json

_COLUMNS = """id, workspace_id, round_id, parent_id, status, base_fingerprint, method,
manifest_hash, metrics, created_at"""


def add_adapter(
    db: Database,
    workspace_id: int,
    *,
    round_id: int | None,
    parent_id: int | None,
    base_fingerprint: str,
    method: str,
    manifest_hash: str,
    metrics: Mapping[str, Any] | None = None,
) -> Adapter:
    """A new candidate. `round_id` None: imported; `parent_id` None: taught from the base."""
    with write_transaction(db):
        adapter_id = insert(
            db,
            "adapters",
            workspace_id=workspace_id,
            round_id=round_id,
            parent_id=parent_id,
            base_fingerprint=base_fingerprint,
            method=method,
            manifest_hash=manifest_hash,
            metrics=to_json(dict(metrics or {})),
        )
    return adapter(db, adapter_id)


def adapter(db: Database, adapter_id: int) -> Adapter:
    """The adapter with this id; NotFound when there is none or it was deleted."""
    row = one(
        db, f"select {_COLUMNS} from adapters where id = ? and deleted_at is null", adapter_id
    )
    if row is None:
        raise NotFound(_missing(db, adapter_id))
    return _adapter(row)


def known_adapter(db: Database, adapter_id: int) -> Adapter:
    """The adapter with this id, also one whose files are deleted; NotFound for none."""
    row = one(db, f"select {_COLUMNS} from adapters where id = ?", adapter_id)
    if row is None:
        raise NotFound(_missing(db, adapter_id))
    return _adapter(row)


def _missing(db: Database, adapter_id: int) -> str:
    row = one(db, "select status from adapters where id = ?", adapter_id)
    if row and row["status"] == "tainted":
        return (
            f"Adapter {adapter_id} learned from what was erased, and its weights are deleted: "
            "`apprentice tune` teaches what remains."
        )
    return f"There is no adapter {adapter_id}: `apprentice adapters list` shows those there are."


def list_adapters(db: Database, workspace_id: int) -> list[Adapter]:
    """The workspace's adapters, newest first, without the deleted ones."""
    found = rows(
        db,
        f"""select {_COLUMNS} from adapters where workspace_id = ? and deleted_at is null
        order by id desc""",
        workspace_id,
    )
    return [_adapter(row) for row in found]


def serving_adapter(db: Database, workspace_id: int) -> Adapter | None:
    """The adapter that answers in this workspace; None when the base does."""
    row = one(
        db,
        f"select {_COLUMNS} from adapters where workspace_id = ? and status = 'serving'",
        workspace_id,
    )
    return _adapter(row) if row else None


def promote(
    db: Database, adapter_id: int, *, actor: str, override_reason: str | None = None
) -> Adapter:
    """Let it serve; what served before retires. One transaction, audited.

    Refused, unless an admin names a reason to override: a candidate whose round's verdict is not
    "promote", an imported one, a rejected one. One that served before may serve again. A tainted
    one never may: it learned from what was erased.
    """
    with write_transaction(db):
        known = adapter(db, adapter_id)
        obstacle = _obstacle(db, known)
        if known.status == "serving":
            raise Refused(f"Adapter {adapter_id} serves already: nothing to do.")
        if known.status == "tainted":
            raise Refused(
                f"Adapter {adapter_id} learned from what was erased and may not serve again: "
                "start a round on what remains."
            )
        if obstacle and not (override_reason and override_reason.strip()):
            raise Refused(
                f"Adapter {adapter_id} may not serve ({obstacle}): "
                "an admin can override this by naming a reason."
            )
        _retire_serving(db, known.workspace_id)
        _set_status(db, known.id, "serving")
        insert(db, "servings", workspace_id=known.workspace_id, adapter_id=known.id, actor=actor)
        detail = {"overridden": obstacle, "reason": override_reason} if obstacle else {}
        audit(db, actor, "adapter promoted", f"adapter:{known.id}", detail)
    return adapter(db, adapter_id)


def rollback(db: Database, workspace_id: int, *, actor: str) -> Adapter | None:
    """Let the one that served before serve again; returns it, or None for the base.

    The adapter that serves now retires. Those that were deleted, rejected or tainted meanwhile,
    or are for another base model, are passed over. Refused when no adapter serves.
    """
    with write_transaction(db):
        now = serving_adapter(db, workspace_id)
        if now is None:
            raise Refused("The base model serves in this workspace: there is nothing to roll back.")
        _retire_serving(db, workspace_id)
        before = _pop(db, workspace_id)
        if before is not None:
            _set_status(db, before, "serving")
        detail = {"from": now.id, "to": before}
        audit(db, actor, "adapter rolled back", f"workspace:{workspace_id}", detail)
    return serving_adapter(db, workspace_id)


def note_judged(
    db: Database, adapter_id: int, round_id: int, metrics: Mapping[str, Any]
) -> Adapter:
    """An imported adapter now has a round whose verdict counts: it was judged there, not made."""
    with write_transaction(db):
        write(
            db,
            "update adapters set round_id = ?, metrics = ? where id = ?",
            round_id,
            to_json(dict(metrics)),
            adapter_id,
        )
        audit(db, "gate", "adapter judged", f"adapter:{adapter_id}", {"round": round_id})
    return adapter(db, adapter_id)


def copy_of(db: Database, workspace_id: int, manifest_hash: str) -> Adapter | None:
    """The workspace's adapter with these very files, the newest; None when there is none."""
    row = one(
        db,
        f"""select {_COLUMNS} from adapters where workspace_id = ? and manifest_hash = ?
        order by id desc""",
        workspace_id,
        manifest_hash,
    )
    return _adapter(row) if row else None


def reject_adapter(db: Database, adapter_id: int, *, actor: str = "system") -> Adapter:
    """Mark it as not good enough to serve. Refused while it serves."""
    with write_transaction(db):
        refuse_serving(adapter(db, adapter_id))
        _set_status(db, adapter_id, "rejected")
        audit(db, actor, "adapter rejected", f"adapter:{adapter_id}")
    return adapter(db, adapter_id)


def delete_adapter(db: Database, adapter_id: int, *, actor: str = "system") -> Adapter:
    """Forget it; returns what it was, for its folder to be removed. Refused while it serves."""
    with write_transaction(db):
        known = adapter(db, adapter_id)
        refuse_serving(known)
        write(db, f"update adapters set deleted_at = {NOW} where id = ?", adapter_id)
        audit(db, actor, "adapter deleted", f"adapter:{adapter_id}")
    return known


def learned_from(db: Database, feedback_ids: Sequence[int]) -> list[int]:
    """The adapters whose round taught one of these rows, and all made from them; by id.

    Rows that a round held out were not learned.
    """
    found = rows(
        db,
        """with recursive taught(id) as (
            select a.id from adapters a join round_examples e on e.round_id = a.round_id
            where e.split = 'train' and e.feedback_id in (select value from json_each(?))
            union
            select a.id from adapters a join taught on a.parent_id = taught.id
        )
        select id from taught order by id""",
        to_json(list(feedback_ids)),
    )
    return [row["id"] for row in found]


def taint(db: Database, adapter_ids: Sequence[int], *, actor: str) -> dict[int, int | None]:
    """Never let these serve again; what serves now by workspace where one of them served.

    Their rows stay for the lineage, marked as deleted: the caller removes the folders. In place of
    one that served comes the newest that served before it, else the newest that passed the gate,
    else the base (None).
    """
    with write_transaction(db):
        stopped = []
        for adapter_id in adapter_ids:
            known = known_adapter(db, adapter_id)
            if known.status == "serving":
                stopped.append(known)
            write(
                db,
                f"""update adapters set status = 'tainted', metrics = '{{}}',
                deleted_at = coalesce(deleted_at, {NOW}) where id = ?""",
                adapter_id,
            )
            audit(db, actor, "adapter tainted", f"adapter:{adapter_id}")
        return {known.workspace_id: _stand_in(db, known, actor) for known in stopped}


def _stand_in(db: Database, gone: Adapter, actor: str) -> int | None:
    """Lets the next best serve in place of a serving one that may no more; None for the base."""
    chosen = _pop(db, gone.workspace_id)
    if chosen is None:
        chosen = _passed(db, gone)
        if chosen is not None:
            workspace_id = gone.workspace_id
            insert(db, "servings", workspace_id=workspace_id, adapter_id=chosen, actor=actor)
    if chosen is not None:
        _set_status(db, chosen, "serving")
    detail = {"from": gone.id, "to": chosen}
    audit(db, actor, "adapter replaced", f"workspace:{gone.workspace_id}", detail)
    return chosen


def let_last_good_serve(db: Database, bad: Adapter) -> Adapter | None:
    """Reject an adapter whose weights are not to be trusted; the one that served before it serves.

    Returns what serves now, None for the base; one that did not serve is only rejected.
    """
    with write_transaction(db):
        _set_status(db, bad.id, "rejected")
        if bad.status == "serving":
            _stand_in(db, bad, "system")
    return serving_adapter(db, bad.workspace_id)


def _passed(db: Database, like: Adapter) -> int | None:
    """The newest one of this base that passed the gate and never served; none that was imported."""
    row = one(
        db,
        """select a.id from adapters a join rounds r on r.id = a.round_id
        where a.workspace_id = ? and a.base_fingerprint = ? and a.deleted_at is null
        and a.status = 'candidate' and r.verdict = 'promote'
        and json_extract(r.config, '$.imported') is null order by a.id desc""",
        like.workspace_id,
        like.base_fingerprint,
    )
    return int(row["id"]) if row else None


def lineage(db: Database, adapter_id: int) -> list[RoundExample]:
    """Everything that its round and those of all its parents chose, its own round first.

    `split` says what was taught (`train`) and what was kept out.
    """
    found = rows(
        db,
        """with recursive family(id, round_id, parent_id, distance) as (
            select id, round_id, parent_id, 0 from adapters where id = ?
            union
            select a.id, a.round_id, a.parent_id, distance + 1
            from adapters a join family on a.id = family.parent_id
        )
        select e.round_id, e.kind, e.split, e.feedback_id, e."group", e.pair_hash
        from family join round_examples e on e.round_id = family.round_id
        order by family.distance, e.id""",
        adapter_id,
    )
    return [RoundExample(**row) for row in found]


def refuse_tainted_copy(db: Database, manifest_hash: str) -> None:
    """Refused when files with this manifest learned from what was erased: no copy comes back."""
    row = one(
        db,
        "select id from adapters where status = 'tainted' and manifest_hash = ?",
        manifest_hash,
    )
    if row:
        raise Refused(
            f"These are the files of adapter {row['id']}, which learned from what was erased: "
            "delete this copy and start a round on what remains."
        )


def rounds_of(db: Database, adapter_id: int) -> list[int]:
    """The round that made it and those of all its parents, its own first."""
    found = rows(
        db,
        """with recursive family(round_id, parent_id, distance) as (
            select round_id, parent_id, 0 from adapters where id = ?
            union
            select a.round_id, a.parent_id, distance + 1
            from adapters a join family on a.id = family.parent_id
        )
        select round_id from family where round_id is not null order by distance""",
        adapter_id,
    )
    return [row["round_id"] for row in found]


def _obstacle(db: Database, known: Adapter) -> str | None:
    """Why it may not serve, in words; None when it may."""
    if known.status == "rejected":
        return "it is rejected"
    if known.status != "candidate":
        return None
    if known.round_id is None:
        return "it was imported and has passed no gate"
    row = one(db, "select verdict from rounds where id = ?", known.round_id)
    verdict = row["verdict"] if row else None
    if verdict == "promote":
        return None
    return f"the gate said {verdict!r}" if verdict else "the gate has not judged it"


def refuse_serving(known: Adapter) -> None:
    """Refused for the one that serves: it is neither rejected nor deleted."""
    if known.status == "serving":
        raise Refused(f"Adapter {known.id} serves: roll back or promote another one first.")


def _retire_serving(db: Database, workspace_id: int) -> None:
    write(
        db,
        "update adapters set status = 'retired' where workspace_id = ? and status = 'serving'",
        workspace_id,
    )


def _set_status(db: Database, adapter_id: int, status: str) -> None:
    write(db, "update adapters set status = ? where id = ?", status, adapter_id)


def _pop(db: Database, workspace_id: int) -> int | None:
    """Take what serves off the stack; returns the one below that can serve, None for the base."""
    stack = rows(
        db,
        """select s.id, s.adapter_id, a.status = 'retired' and a.deleted_at is null
               and a.base_fingerprint = first_value(a.base_fingerprint) over (order by s.id desc)
               as can_serve
        from servings s join adapters a on a.id = s.adapter_id
        where s.workspace_id = ? and s.undone_at is null order by s.id desc""",
        workspace_id,
    )
    for position, serving in enumerate(stack):
        if position > 0 and serving["can_serve"]:
            return int(serving["adapter_id"])
        write(db, f"update servings set undone_at = {NOW} where id = ?", serving["id"])
    return None


def _adapter(row: dict[str, Any]) -> Adapter:
    return Adapter(**{**row, "metrics": json.loads(row["metrics"])})
