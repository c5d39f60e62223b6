"""`apprentice users list|create|set|delete`. Passwords arrive here as hashes only."""

from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from assistant.accounts import change_account, create_account, delete_account, usable_names
from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from storage.records import User
from storage.users import list_users


def list_all(app: App) -> Iterator[Event]:
    """All users with the workspaces that they may use."""
    with closing(app.db()) as db:
        for user in list_users(db):
            yield _event(db, user)


def create(app: App, *, name: str, role: str, password_hash: str) -> Iterator[Event]:
    """Add a user."""
    with closing(app.db()) as db:
        yield _event(db, create_account(db, name, role, password_hash, actor=actor()))


def set_values(
    app: App,
    *,
    name: str,
    role: str | None = None,
    password_hash: str | None = None,
    join: str | None = None,
    leave: str | None = None,
) -> Iterator[Event]:
    """Change role, password and memberships of a user, all or none."""
    with closing(app.db()) as db:
        user = change_account(
            db,
            name,
            role=role,
            password_hash=password_hash,
            join=join,
            leave=leave,
            actor=actor(),
        )
        yield _event(db, user)


def delete(app: App, *, name: str) -> Iterator[Event]:
    """Delete a user; what was said and reviewed stays."""
    with closing(app.db()) as db:
        user = delete_account(db, name, actor=actor())
        yield {"user": user.name, "deleted": True}


def _event(db: Database, user: User) -> Event:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "workspaces": usable_names(db, user),
    }
