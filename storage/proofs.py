"""What each engine said by an adapter when it was good: by that a load is proved.

A proof is plain values (see `assistant.proving`); it is signed as the adapter is, since whoever
could change the weights beside it would change it too.
"""

import hmac
import json
from typing import Any

from sqlite_utils import Database

from storage.adapters import adapter, let_last_good_serve
from storage.audit import audit, list_audit
from storage.database import one, write, write_transaction
from storage.records import Adapter
from storage.signatures import mac
from storage.text import to_json

UNPROVED = "adapter not proved"
"""The act in the audit."""


class Forged(Exception):
    """The proof in the table is not one that was put there with this key."""


def put_proof(
    db: Database, adapter_id: int, engine: str, proof: dict[str, Any], key: bytes | None
) -> None:
    """Keep what `engine` says by the adapter; `key` None: signatures are off."""
    text = to_json(proof)
    signature = mac(key, "proof", adapter_id, engine, text) if key else ""
    with write_transaction(db):
        write(
            db,
            """insert or replace into adapter_proofs (adapter_id, engine, proof, signature)
            values (?, ?, ?, ?)""",
            *(adapter_id, engine, text, signature),
        )


def proof(db: Database, adapter_id: int, engine: str, key: bytes | None) -> dict[str, Any] | None:
    """What was kept; None: this engine has not said anything by it yet. Raises Forged.

    One from when signatures were off counts as none.
    """
    row = one(
        db,
        "select proof, signature from adapter_proofs where adapter_id = ? and engine = ?",
        *(adapter_id, engine),
    )
    if row is None or (key and not row["signature"]):
        return None
    right = mac(key, "proof", adapter_id, engine, row["proof"]) if key else row["signature"]
    if not hmac.compare_digest(row["signature"], right):
        raise Forged
    found: dict[str, Any] = json.loads(row["proof"])
    return found


def forget_proofs(db: Database, adapter_id: int) -> None:
    """Let the next load say anew what each engine says by it."""
    with write_transaction(db):
        write(db, "delete from adapter_proofs where adapter_id = ?", adapter_id)


def replace_unproved(db: Database, adapter_id: int, engine: str) -> Adapter | None:
    """Reject an adapter that does not say what it should, and let the last good one serve.

    Returns what serves now; None is the base. One that does not serve is only rejected.
    """
    with write_transaction(db):
        known = adapter(db, adapter_id)
        instead = let_last_good_serve(db, known)
        detail = {"engine": engine, "instead": instead.id if instead else None}
        audit(db, "system", UNPROVED, f"adapter:{adapter_id}", detail)
    return instead


def unproved(db: Database, workspace_id: int) -> str:
    """The newest adapter of the workspace that was not proved, as a sentence; '' for none."""
    for act in list_audit(db, 20, action=UNPROVED):
        number = act.subject.removeprefix("adapter:")
        row = one(
            db,
            "select 1 as here from adapters where id = ? and workspace_id = ?",
            *(int(number), workspace_id),
        )
        if row:
            instead = act.detail.get("instead")
            return (
                f"On {act.at[:10]} adapter {number} did not say by {act.detail.get('engine')} what "
                f"it had said at the end of its round, and was taken out of service: "
                f"{f'adapter {instead}' if instead else 'the base model'} answered from then on."
            )
    return ""
