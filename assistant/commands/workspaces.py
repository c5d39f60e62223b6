"""`apprentice workspaces list|show|create|set|delete`."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.declared_checks import checks_as_declared, forget_unused_copies
from assistant.dials import dials_as_declared
from assistant.verbs import Event
from storage.adapters import list_adapters, serving_adapter
from storage.database import write_transaction
from storage.documents import list_documents
from storage.errors import BadInput
from storage.records import Workspace
from storage.rounds import list_rounds
from storage.workspaces import (
    create_workspace,
    delete_workspace,
    list_workspaces,
    set_workspace,
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
        given = [_key_and_value(app, pair) for pair in values]
        with write_transaction(db):
            for key, value in given:
                set_workspace(db, name, key, value, actor=actor())
        if any(key == "checks" for key, _ in given):
            forget_unused_copies(app)
        yield _event(db, workspace(db, name))


def delete(app: App, *, name: str) -> Iterator[Event]:
    """Delete a workspace with its rows, its files and its part of the search index."""
    from knowledge.ingest import forget_workspace

    with closing(app.db()) as db:
        known = workspace(db, name)
        folders = _folders(app, db, known)
        delete_workspace(db, name, actor=actor())
        forget_workspace(app.datadir, app.index, known.id)
    forget_unused_copies(app)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    yield {"workspace": name, "deleted": True}


def _folders(app: App, db: Database, known: Workspace) -> list[Path]:
    rounds = [app.datadir.rounds / str(item.id) for item in list_rounds(db, known.id, limit=-1)]
    made = [app.adapter_folder(item.id) for item in list_adapters(db, known.id)]
    return rounds + made


def _key_and_value(app: App, pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise BadInput(f"{pair!r} sets nothing: write KEY=VALUE, such as top_k=5.")
    key, text = key.strip(), _text(value)
    if key == "checks":
        return key, checks_as_declared(app, text)
    return key, dials_as_declared(text) if key == "dials" else text


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
