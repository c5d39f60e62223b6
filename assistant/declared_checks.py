"""The checks that a workspace declares, made ready to judge: their databases are copies."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from assistant.app import App
from storage.client_databases import forget_copies, fresh_copy, last_copy
from storage.errors import BadInput
from storage.records import Workspace
from storage.workspaces import list_workspaces

Check = dict[str, Any]


def declared_checks(app: App, workspace: Workspace) -> tuple[Check, ...]:
    """The workspace's checks, to be handed to `tuning.checks`."""
    return tuple(on_a_copy(app, check) for check in workspace.settings.checks)


def on_a_copy(app: App, check: Mapping[str, Any]) -> Check:
    """The check with a copy in place of the client's own SQLite file, as new as that file."""
    if "database" not in check:
        return dict(check)
    copy = fresh_copy(app.datadir.client_databases, Path(str(check["database"])))
    return {**check, "database": str(copy)}


def checks_at_hand(app: App, workspace: Workspace) -> tuple[Check, ...]:
    """As `declared_checks`, on the last copies, however old: a database that is written to all the
    time would be copied for every reply. A check whose database has no copy is left out.
    """
    found = []
    for check in workspace.settings.checks:
        if "database" not in check:
            found.append(dict(check))
        elif copy := last_copy(app.datadir.client_databases, Path(str(check["database"]))):
            found.append({**check, "database": str(copy)})
    return tuple(found)


def checks_as_declared(app: App, value: str) -> str:
    """What a person typed for `checks`, looked at: each check can be used, each database is copied.

    Raises BadInput for what cannot be; a text that is no list of objects is given back as it is,
    for the settings to refuse.
    """
    from tuning.checks import declared

    try:
        typed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if not isinstance(typed, list) or not all(isinstance(check, dict) for check in typed):
        return value
    made = [declared(_with_schema(check)) for check in typed]
    for check in made:
        on_a_copy(app, check)
    return json.dumps(made)


def forget_unused_copies(app: App) -> None:
    """Remove the copies that no workspace's check runs on any more."""
    with closing(app.db()) as db:
        checks = [check for item in list_workspaces(db) for check in item.settings.checks]
    keep = {str(check["database"]) for check in checks if "database" in check}
    forget_copies(app.datadir.client_databases, keep=keep)


def _with_schema(check: Check) -> Check:
    """The check with the JSON Schema of the file that `"schema": "@FILE"` names."""
    schema = check.get("schema")
    if not isinstance(schema, str) or not schema.startswith("@"):
        return check
    path = Path(schema[1:]).expanduser()
    try:
        return {**check, "schema": json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"The schema {path} cannot be read as JSON ({error}): name another."
        ) from None
