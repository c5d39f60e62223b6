"""People with a login, and the workspaces they are members of."""

from collections.abc import Collection
from typing import get_args

from sqlite_utils import Database

from storage.database import insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.records import User, UserRole
from storage.text import clean
from storage.workspaces import workspace_by_id


def create_user(db: Database, name: str, password_hash: str, role: str) -> User:
    """Add a user. BadInput for an empty or taken name (case does not count) or unknown role."""
    name = clean(name).strip()
    _known_role(role)
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise BadInput(f"{name[:100]!r} cannot name a user: use 1 to 100 visible characters.")
    with write_transaction(db):
        if one(db, "select 1 from users where name = ?", name):
            raise BadInput(f"There is already a user {name!r}: choose another name.")
        user_id = insert(db, "users", name=name, password_hash=password_hash, role=role)
    return user_by_id(db, user_id)


def user_by_name(db: Database, name: str) -> User:
    """The user called `name` (case does not count); NotFound otherwise."""
    row = one(db, "select id, name, role from users where name = ?", clean(name).strip())
    if row is None:
        raise NotFound(
            f"There is no user {clean(name)!r}: `apprentice users list` shows those there are."
        )
    return User(**row)


def user_by_id(db: Database, user_id: int) -> User:
    """The user with this id; NotFound otherwise."""
    row = one(db, "select id, name, role from users where id = ?", user_id)
    if row is None:
        raise NotFound(f"There is no user with the id {user_id}: it may be deleted.")
    return User(**row)


def password_hash(db: Database, user_id: int) -> str:
    """The stored hash of the user's password; NotFound for an unknown user."""
    row = one(db, "select password_hash from users where id = ?", user_id)
    if row is None:
        raise NotFound(f"There is no user with the id {user_id}: it may be deleted.")
    return str(row["password_hash"])


def list_users(db: Database) -> list[User]:
    """All users, by name."""
    return [User(**row) for row in rows(db, "select id, name, role from users order by name")]


def set_user(
    db: Database, name: str, *, role: str | None = None, password_hash: str | None = None
) -> User:
    """Change the role, the password, or both. Refused for the last admin's role."""
    with write_transaction(db):
        user = user_by_name(db, name)
        if role is not None and role != user.role:
            _known_role(role)
            _keep_an_admin(db, user)
            write(db, "update users set role = ? where id = ?", role, user.id)
        if password_hash is not None:
            write(db, "update users set password_hash = ? where id = ?", password_hash, user.id)
    return user_by_id(db, user.id)


def only_admins(db: Database, names: Collection[str]) -> None:
    """Make the users with these names admins (case does not count), and other admins members."""
    listed = {folded(name) for name in names}
    for user in list_users(db):
        wanted = "admin" if folded(user.name) in listed else "member"
        if wanted != user.role and "admin" in (wanted, user.role):
            with write_transaction(db):
                write(db, "update users set role = ? where id = ?", wanted, user.id)


def folded(name: str) -> bytes:
    """A name without its case, as the table has it: of A to Z alone.

    Unicode's rules would make one of two people: a Kelvin sign is a k there.
    """
    return name.encode(errors="replace").lower()


def delete_user(db: Database, name: str) -> None:
    """Delete a user and its memberships; its conversations and reviews stay. Not the last admin."""
    with write_transaction(db):
        user = user_by_name(db, name)
        _keep_an_admin(db, user)
        write(db, "delete from users where id = ?", user.id)


def join(db: Database, user_id: int, workspace_id: int) -> None:
    """Make the user a member of the workspace; doing it twice is once. NotFound for either."""
    with write_transaction(db):
        write(
            db,
            "insert into memberships (user_id, workspace_id) values (?, ?) on conflict do nothing",
            user_by_id(db, user_id).id,
            workspace_by_id(db, workspace_id).id,
        )


def leave(db: Database, user_id: int, workspace_id: int) -> None:
    """End a membership, if there is one."""
    with write_transaction(db):
        write(
            db,
            "delete from memberships where user_id = ? and workspace_id = ?",
            user_id,
            workspace_id,
        )


def may_use_ids(db: Database, user_id: int) -> set[int]:
    """Ids of the workspaces that this user may chat in.

    Public ones, those it is a member of, and for an admin or reviewer all; never `embed` ones,
    which answer only inside the websites that embed them.
    """
    found = rows(
        db,
        """select w.id from workspaces w join users u on u.id = ?
        where w.access = 'public' or (w.access = 'members' and (
            u.role in ('admin', 'reviewer')
            or exists (select 1 from memberships m where m.user_id = u.id and m.workspace_id = w.id)
        ))""",
        user_id,
    )
    return {row["id"] for row in found}


def _known_role(role: str) -> None:
    if role not in get_args(UserRole):
        raise BadInput(f"{clean(role)!r} is no role: use one of {', '.join(get_args(UserRole))}.")


def _keep_an_admin(db: Database, user: User) -> None:
    admins = one(db, "select count(*) as count from users where role = 'admin'")
    if user.role == "admin" and admins and admins["count"] == 1:
        raise Refused(f"{user.name!r} is the last admin: make another user an admin first.")
