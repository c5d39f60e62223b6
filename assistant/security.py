"""Who somebody is, and what they may do. Every page and every event asks here.

A user is known by a signed cookie that names a session, a visitor of a public workspace by a signed
random id. Cookies hold no rights: session, role and memberships are read from the database at each
request, so that a change counts at once.
"""

import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlite_utils import Database

from storage.audit import audit
from storage.database import write_transaction
from storage.datadir import read_secret
from storage.errors import ApprenticeError, BadInput, Moving, NotFound, Refused
from storage.records import Conversation, User, UserRole, Workspace
from storage.sessions import end_session, session_user, start_session
from storage.users import create_user, list_users, may_use_ids, user_by_name
from storage.users import password_hash as stored_hash
from storage.workspaces import DEFAULT, list_workspaces
from storage.workspaces import workspace as workspace_by_name

if TYPE_CHECKING:
    from pwdlib import PasswordHash

    from assistant.app import App

SESSION_COOKIE = "apprentice_session"
VISITOR_COOKIE = "apprentice_visitor"
SESSION_SECONDS = 7 * 24 * 3600
VISITOR_SECONDS = 180 * 24 * 3600
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1000  # argon2 reads all of it, so somebody could make it work for long


class HasCookies(Protocol):
    """A web request, Starlette's or Gradio's."""

    @property
    def cookies(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Person:
    """Whoever sent a request. `id` is a user's row id or a visitor's random token."""

    kind: Literal["user", "visitor", "anonymous"]
    id: int | str = ""
    name: str = ""
    role: UserRole | None = None

    @property
    def owner(self) -> str:
        """The owner of this person's conversations: `user:<id>` or `visitor:<token>`."""
        return f"{self.kind}:{self.id}"


ANONYMOUS = Person("anonymous")


# ---- passwords


def hash_password(password: str) -> str:
    """The argon2 hash to store. BadInput for a password that is too short or too long."""
    if len(password) < SHORTEST_PASSWORD:
        raise BadInput(
            f"The password has {len(password)} characters; use at least {SHORTEST_PASSWORD}."
        )
    if len(password) > LONGEST_PASSWORD:
        raise BadInput(f"The password is too long; use at most {LONGEST_PASSWORD} characters.")
    return _argon2().hash(password)


def verify_password(password: str, hashed: str) -> bool:
    """Whether `password` is the one that was hashed."""
    return len(password) <= LONGEST_PASSWORD and _argon2().verify(password, hashed)


def log_in(db: Database, name: str, password: str) -> User | None:
    """The user with this name and password, or None; takes as long for a name that is unknown."""
    nobody = _nobody()  # before the name is looked up: the first time it takes as long as a check
    try:
        user = user_by_name(db, name)
        hashed = stored_hash(db, user.id)
    except NotFound:
        verify_password(password, nobody)
        return None
    return user if verify_password(password, hashed) else None


@cache
def _argon2() -> "PasswordHash":
    from pwdlib import PasswordHash

    return PasswordHash.recommended()


@cache
def _nobody() -> str:
    return _argon2().hash(secrets.token_hex(16))


# ---- the first start


def setup_link(app: "App", url: str) -> str:
    """Where the first admin sets a name and a password; works until that has happened."""
    return f"{url.rstrip('/')}/setup?token={read_secret(app.datadir, 'setup')}"


def setup_open(app: "App", token: str) -> bool:
    """Whether `token` is the one of the set-up link, and there is no user yet."""
    # bytes: compare_digest refuses text that is not ASCII
    known = read_secret(app.datadir, "setup").encode()
    if not secrets.compare_digest(token.encode(errors="replace"), known):
        return False
    with closing(app.db()) as db:
        return not list_users(db)


def create_first_admin(db: Database, name: str, password: str) -> User:
    """The admin of the set-up page. Refused when there is a user already."""
    hashed = hash_password(password)
    with write_transaction(db):
        if list_users(db):
            raise Refused("This assistant has been set up already; log in instead.")
        user = create_user(db, name, hashed, "admin")
        audit(db, f"user:{user.id}", "first admin created", f"user:{user.id}")
    return user


# ---- cookies


def session_cookie(app: "App", db: Database, user: User) -> str:
    """The cookie that makes its bearer `user` until the session ends or is too old."""
    return _signer(app, "session").dumps(start_session(db, user.id, kept_s=SESSION_SECONDS))


def close_session(app: "App", db: Database, request: HasCookies) -> None:
    """End the session that the request comes with, wherever else its cookie was copied to."""
    token = _session_token(app, request)
    if token:
        end_session(db, token)


def visitor_cookie(app: "App") -> str:
    """The cookie of a new visitor."""
    return _signer(app, "visitor").dumps(secrets.token_hex(16))


def identify(request: HasCookies, app: "App") -> Person:
    """Who sent the request, as far as its cookies prove it."""
    session = _session_token(app, request)
    if session:
        with closing(app.db()) as db:
            user = session_user(db, session)
        if user is not None:
            return Person("user", user.id, user.name, user.role)
    token = _read(app, "visitor", request.cookies.get(VISITOR_COOKIE, ""), VISITOR_SECONDS)
    return Person("visitor", token) if isinstance(token, str) else ANONYMOUS


def _session_token(app: "App", request: HasCookies) -> str:
    token = _read(app, "session", request.cookies.get(SESSION_COOKIE, ""), SESSION_SECONDS)
    return token if isinstance(token, str) else ""


def _read(app: "App", salt: str, cookie: str, seconds: int) -> Any:
    if not cookie:
        return None
    try:
        return _signer(app, salt).loads(cookie, max_age=seconds)
    except BadSignature:
        return None


def _signer(app: "App", salt: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(read_secret(app.datadir, "cookies"), salt=salt)


# ---- rights


def may_use(db: Database, workspace: Workspace, person: Person) -> bool:
    """Whether this person may chat in the workspace on the chat page."""
    if workspace.access == "public":
        return True
    return person.kind == "user" and workspace.id in may_use_ids(db, int(person.id))


def usable_workspace(db: Database, name: str | None, person: Person) -> Workspace | None:
    """The workspace called `name` if it exists and this person may use it, else None.

    Without a name: the default one, or the first by name that this person may use. Moving for one
    that has just left for another server.
    """
    if name:
        try:
            found = workspace_by_name(db, name)
        except Moving:
            raise
        except ApprenticeError:
            return None
        return found if may_use(db, found, person) else None
    usable = [item for item in list_workspaces(db) if may_use(db, item, person)]
    usable.sort(key=lambda item: item.name != DEFAULT)
    return usable[0] if usable else None


def may_read(conversation: Conversation, person: Person) -> bool:
    """Whether the conversation is this person's own. Nobody else reads it, whatever the role."""
    return person.kind != "anonymous" and conversation.owner == person.owner


def may_see(person: Person) -> bool:
    """Whether this person opens the admin page; a viewer changes nothing there."""
    return person.role in ("admin", "reviewer", "viewer")


def may_review(person: Person) -> bool:
    """Whether this person decides what is taught."""
    return person.role in ("admin", "reviewer")


def may_administer(person: Person) -> bool:
    """Whether this person manages documents, rounds and adapters."""
    return person.role == "admin"
