"""Users made, changed and deleted, each with its line in the audit."""

from sqlite_utils import Database

from storage import users
from storage.audit import audit
from storage.database import write_transaction
from storage.errors import BadInput
from storage.records import User
from storage.workspaces import list_workspaces, workspace


def create_account(db: Database, name: str, role: str, password_hash: str, *, actor: str) -> User:
    """Add a user; BadInput for a name or a role that cannot be."""
    with write_transaction(db):
        user = users.create_user(db, name, password_hash, role)
        audit(db, actor, "user created", f"user:{user.id}", {"role": role})
    return user


def change_account(
    db: Database,
    name: str,
    *,
    role: str | None = None,
    password_hash: str | None = None,
    join: str | None = None,
    leave: str | None = None,
    actor: str,
) -> User:
    """Change role, password and memberships (by workspace), all or none.

    Refused for the last admin's role.
    """
    changes = {"role": role, "password": password_hash, "join": join, "leave": leave}
    changed = [key for key, value in changes.items() if value is not None]
    if not changed:
        raise BadInput(
            f"Nothing to change for {name!r}: give --role, --password, --join or --leave."
        )
    with write_transaction(db):
        user = users.set_user(db, name, role=role, password_hash=password_hash)
        if join is not None:
            users.join(db, user.id, workspace(db, join).id)
        if leave is not None:
            users.leave(db, user.id, workspace(db, leave).id)
        audit(db, actor, "user set", f"user:{user.id}", {"changed": changed})
    return user


def delete_account(db: Database, name: str, *, actor: str) -> User:
    """Delete a user; what was said and reviewed stays. Refused for the last admin."""
    with write_transaction(db):
        user = users.user_by_name(db, name)
        users.delete_user(db, name)
        audit(db, actor, "user deleted", f"user:{user.id}")
    return user


def usable_names(db: Database, user: User) -> list[str]:
    """Names of the workspaces that the user may chat in."""
    usable = users.may_use_ids(db, user.id)
    return [item.name for item in list_workspaces(db) if item.id in usable]
