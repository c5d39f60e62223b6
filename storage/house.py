"""What is set for the house as a whole and survives a restart: today, the base model."""

from sqlite_utils import Database

from storage.database import NOW, one, write, write_transaction
from storage.text import clean

BASE_MODEL = "base_model"
"""Key of the base model that a `rebase` switched to, as `storage.models.resolve_base` takes it."""


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
