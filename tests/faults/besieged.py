"""A real server that holds something of everybody, and how outsiders call it.

For the tests that attack it: everybody of `tests/assistant/people.py`, what they said, keys, and
what nobody else may see or change.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
from fastapi import FastAPI

from assistant.app import App, open_app
from assistant.gradio_door import GradioDoor
from assistant.security import SESSION_COOKIE, VISITOR_COOKIE
from assistant.settings import read_settings
from assistant.web import build_server
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback
from storage.keys import create_key
from storage.records import Inputs
from storage.rounds import create_round
from storage.users import create_user, join
from storage.workspaces import create_workspace, set_workspace, workspace
from tests.assistant.people import Caller, everybody, hashed
from tests.serving import on_a_port

SHOP = "https://shop.example"
SECRET = "the moth sleeps in the blue kettle"
VISITOR = "v" * 40
NOTED = ("keys", "last_used_at")
"""What a request may always change: when a key was used last."""

CACHES = ("chroma", "models")
"""Folders that are filled when something is read."""


@dataclass
class Fort:
    """The server, who may call it, and what is inside."""

    app: App
    server: FastAPI
    client: httpx.Client
    people: dict[str, Caller]
    keys: dict[str, str]
    ids: dict[str, Any]

    def send(self, method: str, path: str, cookies: dict[str, str], **more: Any) -> httpx.Response:
        """One request with exactly these cookies."""
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers = {
            **({"cookie": header.encode("latin-1")} if header else {}),
            **more.pop("headers", {}),
        }
        self.client.cookies.clear()
        return self.client.request(method, path, headers=headers, **more)

    def event(self, page: str, index: int, data: list[Any], cookies: dict[str, str], **more: Any):
        """What the page's server says of an event, its last word; the status where it took none."""
        base = page.rstrip("/")
        session = more.pop("session", f"s{index}")
        query = more.pop("query", "")
        headers = more.pop("headers", {})
        body = {"fn_index": index, "data": data, "session_hash": session, **more}
        sent = self.send(
            *("POST", f"{base}/gradio_api/queue/join{query}", cookies),
            content=json.dumps(body),  # what `json=` makes of half a character cannot be sent
            headers={"content-type": "application/json", **headers},
        )
        if sent.status_code != 200:
            return sent.status_code
        told = self.send(
            "GET", f"{base}/gradio_api/queue/data?session_hash={session}", cookies, headers=headers
        )
        lines = [json.loads(line[6:]) for line in told.text.split("\n") if line[:6] == "data: "]
        done = [line for line in lines if line["msg"] == "process_completed"]
        return done[-1] if done else lines[-1]

    def state(self) -> dict[str, str]:
        """A digest of each table and file: what must be as it was."""
        found = {}
        with closing(sqlite3.connect(self.app.datadir.database)) as db:
            db.row_factory = sqlite3.Row
            tables = [
                row[0] for row in db.execute("select name from sqlite_master where type='table'")
            ]
            for table in tables:
                rows = [dict(row) for row in db.execute(f'select * from "{table}"')]
                for row in rows:
                    row.pop(NOTED[1] if table == NOTED[0] else "", None)
                found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
        root = self.app.datadir.root
        for path in sorted(root.rglob("*")):
            if path.relative_to(root).parts[0] in CACHES:
                continue
            if path.is_file() and not path.name.startswith(self.app.datadir.database.name):
                found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
            elif path.is_dir():
                found[str(path.relative_to(root))] = "folder"
        return found

    def page(self, name: str) -> gr.Blocks:
        """The Gradio page behind "/" or "/admin"."""
        return self.door(name)._page

    def door(self, name: str) -> GradioDoor:
        found = [route.app for route in self.server.routes if isinstance(_app(route), GradioDoor)]
        return found[0] if name == "/admin" else found[1]


def _app(route: Any) -> Any:
    return getattr(route, "app", None)


@contextmanager
def fort(tmp: Path, base: Path, **more: Any) -> Iterator[Fort]:
    """The server at work; `more` are settings."""
    more = {"requests_per_second": 0, **more}  # what is refused for its number alone tries nothing
    settings = read_settings(
        data=tmp / "data", base_model=str(base), threads=1, context=512, **more
    )
    with ExitStack() as stack:
        app = stack.enter_context(open_app(settings))
        people = everybody(app)
        keys, ids = _filled(app, people)
        server = build_server(app)
        url = stack.enter_context(on_a_port(server))
        client = stack.enter_context(httpx.Client(base_url=url, timeout=30, trust_env=False))
        yield Fort(app, server, client, people, keys, ids)


def _filled(app: App, people: dict[str, Caller]) -> tuple[dict[str, str], dict[str, Any]]:
    with closing(app.db()) as db:
        team, open_one, site = (workspace(db, name) for name in ("team", "open", "site"))
        other = create_workspace(db, "other", access="members")
        olga = create_user(db, "olga", hashed(), "member")
        join(db, olga.id, other.id)
        people["olga"] = _logged_in(app, db, olga)
        for name in ("open", "site", "team", "other"):
            set_workspace(db, name, "max_tokens", "8")
        made: dict[str, Any] = {}
        for who, where in (("mo", team), ("visitor", open_one)):
            said = start_conversation(db, where.id, people[who].person.owner)
            asked = add_message(db, said.id, "user", SECRET)
            inputs = Inputs(SECRET, "", 1)
            reply = add_message(
                db, said.id, "assistant", f"Yes: {SECRET}.", parent_id=asked.id, inputs=inputs
            )
            made[who] = {"conversation": said.id, "asked": asked.id, "reply": reply.id}
        given = add_feedback(
            db,
            message_id=made["mo"]["reply"],
            origin="staff",
            contributor="user:4",
            correction=f"{SECRET}, twice",
        )
        round_ = create_round(db, team.id, config={}, base_fingerprint="b")
        make = {"actor": "user:1", "per_minute": 100_000}
        keys = {
            "team": create_key(db, "team", workspace_id=team.id, **make)[1],
            "other": create_key(db, "other", workspace_id=other.id, **make)[1],
            "chat": create_key(db, "chat", workspace_id=team.id, scopes=["chat"], **make)[1],
            "judge": create_key(db, "judge", workspace_id=team.id, scopes=["feedback"], **make)[1],
            "figures": create_key(db, "fig", workspace_id=team.id, scopes=["metrics"], **make)[1],
            "embed": create_key(
                db, "shop", kind="embed", workspace_id=site.id, origins=[SHOP], **make
            )[1],
        }
        ids = {"team": team.id, "feedback": given.id, "round": round_.id, **made}
    return keys, ids


def _logged_in(app: App, db: Any, user: Any) -> Caller:
    from assistant.security import Person, identify, session_cookie

    cookies = {SESSION_COOKIE: session_cookie(app, db, user)}
    return Caller(cookies, identify(Caller(cookies, Person("anonymous")), app))


__all__ = ["SECRET", "SESSION_COOKIE", "SHOP", "VISITOR", "VISITOR_COOKIE", "Fort", "fort"]
