"""`apprentice keys create|list|revoke`. The secret is printed once and kept nowhere."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from storage import keys
from storage.errors import BadInput
from storage.workspaces import list_workspaces
from storage.workspaces import workspace as workspace_named

EVERY = "(all)"
"""Instead of a workspace's name, for which no workspace can be called so."""


def create(
    app: App,
    *,
    workspace: str,
    name: str,
    scopes: Sequence[str],
    all_workspaces: bool,
    per_minute: int,
    per_day: int | None,
    embed: bool,
    origins: Sequence[str],
    per_visitor: int | None,
) -> Iterator[Event]:
    """Make an API key, or with `embed` one for a website."""
    if embed and scopes:
        raise BadInput("An embed key has no scopes: leave --scope out, or --embed.")
    with closing(app.db()) as db:
        key, secret = keys.create_key(
            db,
            name,
            kind="embed" if embed else "api",
            workspace_id=None if all_workspaces else workspace_named(db, workspace).id,
            scopes=scopes or keys.USUAL,
            per_minute=per_minute,
            per_day=per_day,
            per_visitor=per_visitor,
            origins=origins,
            actor=actor(),
        )
        yield {**_event(db, key), "key": secret}


def list_all(app: App) -> Iterator[Event]:
    """All keys, the newest first, without their secrets."""
    with closing(app.db()) as db:
        for key in keys.list_keys(db):
            yield _event(db, key)


def revoke(app: App, *, name: str) -> Iterator[Event]:
    """End a key; whoever still sends it is refused from now on."""
    with closing(app.db()) as db:
        yield _event(db, keys.revoke_key(db, name, actor=actor()))


def _event(db: Database, key: keys.Key) -> Event:
    names = {item.id: item.name for item in list_workspaces(db)}
    event = asdict(key)
    workspace_id = event.pop("workspace_id")
    return {
        **event,
        "scopes": list(key.scopes),
        "origins": list(key.origins),
        "workspace": EVERY if workspace_id is None else names[workspace_id],
        "state": "revoked" if key.revoked_at else "valid",
    }
