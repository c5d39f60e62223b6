"""`apprentice users list|create|set|delete`. Passwords arrive here as hashes only."""

from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from storage import users
from storage.audit import audit
from storage.database import write_transaction
from storage.errors import BadInput
from storage.records import User
from storage.workspaces import list_workspaces, workspace


def list_all(app: App) -> Iterator[Event]:
    """All users with the workspaces that they may use."""
    with closing(app.db()) as db:
        for user in users.list_users(db):
            yield _event(db, user)


def create(app: App, *, name: str, role: str, password_hash: str) -> Iterator[Event]:
    """Add a user."""
    with closing(app.db()) as db:
        with write_transaction(db):
            user = users.create_user(db, name, password_hash, role)
            audit(db, actor(), "user created", f"user:{user.id}", {"role": role})
        yield _event(db, user)


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
    changes = {"role": role, "password": password_hash, "join": join, "leave": leave}
    changed = [key for key, value in changes.items() if value is not None]
    if not changed:
        raise BadInput(
            f"Nothing to change for {name!r}: give --role, --password, --join or --leave."
        )
    with closing(app.db()) as db:
        with write_transaction(db):
            user = users.set_user(db, name, role=role, password_hash=password_hash)
            if join is not None:
                users.join(db, user.id, workspace(db, join).id)
            if leave is not None:
                users.leave(db, user.id, workspace(db, leave).id)
            audit(db, actor(), "user set", f"user:{user.id}", {"changed": changed})
        yield _event(db, user)


def delete(app: App, *, name: str) -> Iterator[Event]:
    """Delete a user; what was said and reviewed stays."""
    with closing(app.db()) as db:
        with write_transaction(db):
            user = users.user_by_name(db, name)
            users.delete_user(db, name)
            audit(db, actor(), "user deleted", f"user:{user.id}")
        yield {"user": user.name, "deleted": True}


def _event(db: Database, user: User) -> Event:
    usable = users.may_use_ids(db, user.id)
    names = [item.name for item in list_workspaces(db) if item.id in usable]
    return {"id": user.id, "name": user.name, "role": user.role, "workspaces": names}
