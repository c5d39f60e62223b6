"""Everybody who may come to a page, with what their browser sends."""

from contextlib import closing
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from starlette.requests import Request

from assistant.app import App
from assistant.security import (
    SESSION_COOKIE,
    VISITOR_COOKIE,
    Person,
    hash_password,
    identify,
    session_cookie,
    visitor_cookie,
)
from storage.users import create_user, join
from storage.workspaces import create_workspace

PASSWORD = "correct horse battery"
WORKSPACES = {"open": "public", "team": "members", "site": "embed"}
ROLES = {"ada": "admin", "rita": "reviewer", "vic": "viewer", "mo": "member", "nell": "member"}


@dataclass(frozen=True)
class Caller:
    """One of them: the cookies, and who they are."""

    cookies: dict[str, str]
    person: Person

    def request(self, **query: str) -> Request:
        """A request as a handler gets it."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return Request(
            {
                "type": "http",
                "method": "GET",
                "path": "/",
                "headers": [(b"cookie", cookie.encode())],
                "query_string": urlencode(query).encode(),
            }
        )


def everybody(app: App) -> dict[str, Caller]:
    """Makes three workspaces and the users; mo is a member of `team`, nell of none.

    The others are `anonymous` and two visitors.
    """
    with closing(app.db()) as db:
        for name, access in WORKSPACES.items():
            made = create_workspace(db, name, access=access)
            if name == "team":
                team = made
        found = {"anonymous": {}}
        for name, role in ROLES.items():
            user = create_user(db, name, hashed(), role)
            found[name] = {SESSION_COOKIE: session_cookie(app, db, user)}
            if name == "mo":
                join(db, user.id, team.id)
    for name in ("visitor", "other visitor"):
        found[name] = {VISITOR_COOKIE: visitor_cookie(app)}
    return {
        name: Caller(cookies, identify(Caller(cookies, Person("anonymous")), app))
        for name, cookies in found.items()
    }


@cache
def hashed() -> str:
    """The hash of PASSWORD; made once, since argon2 is slow on purpose."""
    return hash_password(PASSWORD)


def others(people) -> list[str]:
    """Everybody but mo."""
    return [who for who in people if who != "mo"]
