"""The accounts that a workspace brings along when it moves: its members, and who has talked in it.

An account is one person in every house. Rights over a whole house do not move: an admin of the
former house reviews in the new one, in this workspace alone.
"""

from typing import Any

from sqlite_utils import Database

from storage.database import one, rows, write, write_transaction
from storage.errors import Refused

_WANTED = """select * from source.users u where u.id in (
    select user_id from source.memberships where workspace_id = {w}
    union select cast(substr(owner, 6) as integer) from source.conversations
    where workspace_id = {w} and owner like 'user:%')"""


def refuse_namesakes(db: Database, workspace_id: int) -> None:
    """Raises Refused when an account of the workspace has the name of another one here."""
    for user in _wanted(db, workspace_id):
        other = one(db, "select id from main.users where name = ?", user["name"])
        if other and other["id"] != user["id"]:
            raise Refused(
                f"Another account is called {user['name']!r} in the cell it would go to, and two "
                "people must not become one: delete one of the two there or here, then move."
            )


def bring_people(db: Database, workspace_id: int) -> int:
    """Add those accounts that are not there yet; returns how many.

    Their logins go on, as far as both houses sign cookies alike.
    """
    added = 0
    with write_transaction(db):
        for user in _wanted(db, workspace_id):
            if one(db, "select 1 from main.users where id = ?", user["id"]) is None:
                role = "reviewer" if user["role"] == "admin" else user["role"]
                write(
                    db,
                    """insert into main.users (id, name, role, password_hash, created_at)
                    values (?, ?, ?, ?, ?)""",
                    *(user["id"], user["name"], role, user["password_hash"], user["created_at"]),
                )
                added += 1
            write(
                db,
                """insert or ignore into main.sessions
                select * from source.sessions where user_id = ?""",
                user["id"],
            )
    return added


def let_former_admins_in(db: Database, workspace_id: int) -> None:
    """Make members of those whose right to the workspace was that of a whole house."""
    with write_transaction(db):
        for user in _wanted(db, workspace_id):
            if user["role"] == "admin":
                write(
                    db,
                    "insert or ignore into main.memberships (user_id, workspace_id) values (?, ?)",
                    *(user["id"], workspace_id),
                )


def _wanted(db: Database, workspace_id: int) -> list[dict[str, Any]]:
    return rows(db, _WANTED.format(w=int(workspace_id)))
