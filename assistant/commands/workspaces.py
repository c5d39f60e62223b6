"""`apprentice workspaces list|show|create|set|delete`."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from assistant.workspace_deletion import delete_all_of
from assistant.workspace_values import put_values
from storage.adapters import serving_adapter
from storage.documents import list_documents
from storage.errors import BadInput
from storage.records import Workspace
from storage.workspaces import (
    create_workspace,
    list_workspaces,
    workspace,
)


def list_all(app: App) -> Iterator[Event]:
    """All workspaces with their settings."""
    with closing(app.db()) as db:
        for item in list_workspaces(db):
            yield _event(db, item)


def show(app: App, *, name: str) -> Iterator[Event]:
    """One workspace with its instructions and all its settings."""
    with closing(app.db()) as db:
        yield _event(db, workspace(db, name))


def create(app: App, *, name: str, access: str, instructions: str) -> Iterator[Event]:
    """Make a workspace."""
    with closing(app.db()) as db:
        text = _text(instructions)
        made = create_workspace(db, name, access=access, instructions=text, actor=actor())
        yield _event(db, made)


def set_values(app: App, *, name: str, values: list[str]) -> Iterator[Event]:
    """Set `key=value` pairs, all or none. BadInput for one that cannot be."""
    with closing(app.db()) as db:
        workspace(db, name)
        put_values(app, db, name, dict(map(_key_and_value, values)), actor=actor())
        yield _event(db, workspace(db, name))


def delete(app: App, *, name: str) -> Iterator[Event]:
    """Delete a workspace with its rows, its files and its part of the search index."""
    with closing(app.db()) as db:
        delete_all_of(app, db, name, actor=actor())
    yield {"workspace": name, "deleted": True}


def _key_and_value(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise BadInput(f"{pair!r} sets nothing: write KEY=VALUE, such as top_k=5.")
    if key.strip() == "avatar":  # a path; with or without the @ that other values have
        return "avatar", value.removeprefix("@")
    return key.strip(), _text(value)


def _text(value: str) -> str:
    """A value as typed, or what is in the file that `@FILE` names."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{value[1:]} cannot be read as text ({error}): name another file."
        ) from None


def _event(db: Database, item: Workspace) -> Event:
    serving = serving_adapter(db, item.id)
    settings = asdict(item.settings)
    return {
        "name": item.name,
        "access": item.access,
        "instructions": item.instructions,
        "instructions_version": item.instructions_version,
        "documents": len(list_documents(db, item.id)),
        "serving": serving.id if serving else "base",
        **settings,
    }
