"""What was done to a workspace, written down again where it moves: a chain of acts cannot be cut.

Each act is a new one of the new house's chain, with the time and the hash it had in the former one.
"""

import json

from sqlite_utils import Database

from storage.audit import audit
from storage.database import one, rows, write_transaction

ARRIVED = "workspace moved here"
_KINDS = {
    "document": "documents",
    "feedback": "feedback",
    "adapter": "adapters",
    "round": "rounds",
    "key": "keys",
    "override": "overrides",
    "job": "jobs",
    "request": "erasure_requests",
}
"""By how a subject begins, the table its number is of."""


def bring_acts(db: Database, workspace_id: int, *, move: int, source: str, actor: str) -> int:
    """Write the source's acts on the workspace and its rows down; returns how many.

    `db` has the source beside it. Once for each move.
    """
    subjects = " union all ".join(
        f"select '{kind}:' || id from source.{table} where workspace_id = {int(workspace_id)}"
        for kind, table in _KINDS.items()
    )
    subject = f"workspace:{int(workspace_id)}"
    with write_transaction(db):
        done = "select 1 from main.audit where action = ? and subject = ? and detail like ?"
        if one(db, done, ARRIVED, subject, f'%"move":{move}}}'):
            return 0
        found = rows(
            db,
            f"""select at, actor, action, subject, detail, hash from source.audit
            where subject = '{subject}' or subject in ({subjects}) order by id""",
        )
        for act in found:
            was = {"cell": source, "at": act["at"], "hash": act["hash"]}
            detail = {**json.loads(act["detail"]), "was": was}
            audit(db, act["actor"], act["action"], act["subject"], detail)
        audit(db, actor, ARRIVED, subject, {"from": source, "acts": len(found), "move": move})
    return len(found)
