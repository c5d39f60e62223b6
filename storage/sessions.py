"""Who is logged in, by a random token of which only the hash is kept.

Triggers end a user's sessions with a new password and with a role that may less; see `m036`.
"""

import hashlib
import secrets

from sqlite_utils import Database

from storage.database import NOW, one, write, write_transaction
from storage.records import User


def start_session(db: Database, user_id: int, *, kept_s: int) -> str:
    """A new session's token; sessions older than `kept_s` seconds are forgotten."""
    token = secrets.token_urlsafe(32)
    with write_transaction(db):
        old = NOW.replace("'now'", f"'now','-{kept_s} seconds'")
        write(db, f"delete from sessions where started_at < {old}")
        write(db, "insert into sessions (hash, user_id) values (?, ?)", _hash(token), user_id)
    return token


def session_user(db: Database, token: str) -> User | None:
    """Whose session this is; None for one that has ended or never was."""
    row = one(
        db,
        """select u.id, u.name, u.role from sessions s join users u on u.id = s.user_id
        where s.hash = ?""",
        _hash(token),
    )
    return User(**row) if row else None


def end_session(db: Database, token: str) -> None:
    """End it, if there is one."""
    with write_transaction(db):
        write(db, "delete from sessions where hash = ?", _hash(token))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
