"""`apprentice overrides list|retire`."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from assistant.app import App
from assistant.commands.who import actor
from assistant.overriding import whether_it_answers
from assistant.verbs import Event
from storage import overrides
from storage.errors import NotFound
from storage.workspaces import workspace as workspace_named


def list_all(app: App, *, workspace: str) -> Iterator[Event]:
    """The overrides of a workspace: `answers` says yes, or no and why."""
    with closing(app.db()) as db:
        for item in overrides.list_overrides(db, workspace_named(db, workspace).id):
            yield asdict(item) | {"answers": whether_it_answers(db, item)}


def retire(app: App, *, workspace: str, id: int) -> Iterator[Event]:
    """Stop serving an override; the correction stays approved."""
    with closing(app.db()) as db:
        known = overrides.list_overrides(db, workspace_named(db, workspace).id)
        if id not in {item.id for item in known}:
            raise NotFound(
                f"There is no override {id} in {workspace!r}: `overrides list` shows them."
            )
        overrides.retire(db, id, actor=actor())
        yield {"override": id, "status": "retired"}
