"""What a client calls a model: a workspace, answered by what serves there, or `workspace@adapter`.

An adapter may be named that serves or has served: none that the gate has not let pass.
"""

from datetime import datetime
from typing import Any, Literal

from sqlite_utils import Database

from storage.adapters import list_adapters
from storage.errors import NotFound
from storage.keys import Key
from storage.records import Workspace
from storage.workspaces import created_at, list_workspaces

_ASKED = ("serving", "retired")


def usable(db: Database, key: Key) -> list[Workspace]:
    """The workspaces that this key is for, by name."""
    wanted = key.workspace_id
    return [item for item in list_workspaces(db) if wanted is None or item.id == wanted]


def list_models(db: Database, key: Key) -> list[dict[str, Any]]:
    """Every model that the key may ask, as `GET /v1/models` gives them."""
    found = []
    for workspace in usable(db, key):
        made = created_at(db, workspace.id)
        names = [(workspace.name, made), (f"{workspace.name}@base", made)]
        names += [
            (f"{workspace.name}@{adapter.id}", adapter.created_at)
            for adapter in list_adapters(db, workspace.id)
            if adapter.status in _ASKED
        ]
        found += [_model(name, at) for name, at in names]
    return found


def chosen_model(
    db: Database, key: Key, name: str
) -> tuple[Workspace, Literal["serving", "base"] | int]:
    """The workspace and who answers in it. NotFound, alike for what is missing or not the key's."""
    wanted, _, adapter = name.partition("@")
    workspace = next((item for item in usable(db, key) if item.name == wanted), None)
    if workspace is not None and name == wanted:
        return workspace, "serving"
    if workspace is not None and adapter == "base":
        return workspace, "base"
    if workspace is not None:
        for item in list_adapters(db, workspace.id):
            if item.status in _ASKED and str(item.id) == adapter:
                return workspace, item.id
    raise NotFound(
        f"There is no model {name[:100]!r} for this key: give a workspace's name, or "
        "workspace@adapter; GET /v1/models lists them."
    )


def _model(name: str, made: str) -> dict[str, Any]:
    seconds = int(datetime.fromisoformat(made).timestamp())
    return {"id": name, "object": "model", "created": seconds, "owned_by": "apprentice"}
