"""What a person sets of a workspace, in text as typed: several values, all of them or none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.avatar import avatar_as_given
from assistant.declared_checks import checks_as_declared, forget_unused_copies
from assistant.decoding import with_usable_format
from assistant.dials import dials_as_declared
from assistant.runners import runner_as_known
from storage.database import write_transaction
from storage.errors import BadInput
from storage.workspaces import set_workspace, workspace

if TYPE_CHECKING:
    from assistant.app import App


class Faulty(BadInput):
    """Values that cannot be: `faults` has a sentence for each key; nothing was set."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = dict(faults)


def put_values(
    app: "App", db: Database, name: str, values: Mapping[str, str], *, actor: str
) -> None:
    """Set them, by key; raises Faulty with all that is wrong with them."""
    faults: dict[str, str] = {}
    with write_transaction(db):
        for key, value in values.items():
            try:
                set_workspace(db, name, key, _as_declared(app, key, value), actor=actor)
            except BadInput as fault:
                faults[key] = str(fault)
        if formats := [key for key in ("strict_format", "checks") if key in values]:
            try:
                with_usable_format(workspace(db, name).settings)
            except BadInput as fault:
                faults.setdefault(formats[0], str(fault))
        if faults:
            raise Faulty(faults)
    if "checks" in values:
        forget_unused_copies(app)


def _as_declared(app: "App", key: str, value: str) -> str:
    if key == "checks":
        return checks_as_declared(app, value)
    if key == "avatar":
        return avatar_as_given(value)
    if key == "runner":
        return runner_as_known(value)
    return dials_as_declared(value) if key == "dials" else value
