"""What is set for the house as a whole and survives a restart: its base model, and the next one.

A base and the adapters that were taught on it change together, or what serves fits nothing. A
running server keeps its base, so a `rebase` writes the switch down as planned, and it is done when
no server is in between: at once without one, else when the next one starts.
"""

import json
import secrets
from collections.abc import Mapping

from sqlite_utils import Database

from storage.adapters import promote
from storage.audit import audit
from storage.database import NOW, one, write, write_transaction
from storage.text import clean, to_json

BASE_MODEL = "base_model"
"""Key of the base model that a `rebase` switched to, as `storage.models.resolve_base` takes it."""
INSTALL = "install"
"""Key of what tells this install from others that share a Chroma server."""
PLANNED = "planned_base"
"""Key of a switch that waits: {"base_model", "adapters"}."""


def house_setting(db: Database, key: str) -> str | None:
    """The value set for `key`; None when nothing is."""
    row = one(db, "select value from house_settings where key = ?", key)
    return str(row["value"]) if row else None


def set_house_setting(db: Database, key: str, value: str) -> None:
    """Set `key`; a value it had is overwritten."""
    with write_transaction(db):
        write(
            db,
            f"""insert into house_settings (key, value) values (?, ?) on conflict do update
            set value = excluded.value, updated_at = {NOW}""",
            key,
            clean(value),
        )


def install_id(db: Database) -> str:
    """Twelve hex digits, made at the first call; a copy that `forget_install` saw gets its own."""
    known = house_setting(db, INSTALL)
    if known is None:
        with write_transaction(db):
            known = house_setting(db, INSTALL) or secrets.token_hex(6)
            set_house_setting(db, INSTALL, known)
    return known


def forget_install(db: Database) -> None:
    """From now on this is another install: it and the one it was copied from may both run."""
    with write_transaction(db):
        write(db, "delete from house_settings where key = ?", INSTALL)


def plan_switch(db: Database, base_model: str, adapters: Mapping[int, int], *, actor: str) -> None:
    """Write down that `base_model` shall serve with `adapters`: new one -> the one it replaces.

    A switch that was planned before and not done is forgotten.
    """
    with write_transaction(db):
        planned = {"base_model": base_model, "adapters": list(adapters.items())}
        set_house_setting(db, PLANNED, to_json(planned))
        audit(db, actor, "base model chosen", "house", {"adapters": list(adapters)})


def do_planned_switch(db: Database, fixed: str | None = None) -> str | None:
    """Do the switch that is planned; returns the new base model, or None when nothing was done.

    `fixed` is the base model that the server's own settings name, if they do: another one than the
    planned waits until they are changed. A workspace that was given another adapter meanwhile, or a
    new one that was tainted, makes the plan void. One transaction, audited.
    """
    text = house_setting(db, PLANNED)
    planned = json.loads(text) if text else None
    if planned is None or fixed not in (None, planned["base_model"]):
        return None
    with write_transaction(db):
        write(db, "delete from house_settings where key = ?", PLANNED)
        if not all(
            _is(db, made, "candidate") and _is(db, replaced, "serving")
            for made, replaced in planned["adapters"]
        ):
            audit(db, "system", "base model not switched", "house", {"because": "out of date"})
            return None
        for made, _ in planned["adapters"]:
            promote(db, made, actor="gate")
        set_house_setting(db, BASE_MODEL, planned["base_model"])
        audit(db, "system", "base model switched", "house", {"adapters": len(planned["adapters"])})
    return str(planned["base_model"])


def _is(db: Database, adapter_id: int, status: str) -> bool:
    known = one(db, "select status from adapters where id = ? and deleted_at is null", adapter_id)
    return known is not None and known["status"] == status
