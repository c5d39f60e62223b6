"""Where a workspace of this house is, and the fence that stops writes to it while it moves.

A fence is triggers: whoever writes, server, command or another program, is stopped by SQLite itself
with `Moving`. It comes in two parts, so that replies under way are saved between them.
"""

from collections.abc import Iterator
from typing import Literal

from sqlite_utils import Database

from storage.database import MOVING, NOW, one, rows, write, write_transaction
from storage.errors import Moving
from storage.workspace_rows import MADE_BY_TRIGGERS, OF_WORKSPACE, rows_of

Place = Literal["here", "moving", "gone", "arriving"]
"""`moving`: fenced; `gone`: another house has it, its rows here are not yet deleted; `arriving`:
its rows come in, nobody sees them."""
Fence = Literal["none", "questions", "all"]
"""`questions`: replies that were begun can still be saved, and nothing else."""

_KEY = "place:"
_SAVING_A_REPLY = {("messages", "update"), ("conversations", "update")}

SEEN = """w.id not in (select cast(substr(key, 7) as integer) from house_settings
    where key like 'place:%' and value in ('arriving', 'gone'))"""
"""SQL: the workspace `w` is this house's."""


def place_of(db: Database, workspace_id: int) -> Place:
    """Where the workspace is, as far as this house knows."""
    row = one(db, "select value from house_settings where key = ?", f"{_KEY}{workspace_id}")
    return row["value"] if row else "here"


def refuse_away(db: Database, workspace_id: int) -> bool:
    """Whether the workspace is not here yet. Raises Moving for one that has just left."""
    place = place_of(db, workspace_id)
    if place == "gone":
        raise Moving
    return place == "arriving"


def refuse_moving(db: Database, workspace_id: int) -> None:
    """Raises Moving from when the workspace stands still until its rows here are deleted."""
    if place_of(db, workspace_id) in ("moving", "gone"):
        raise Moving


def set_place(db: Database, workspace_id: int, place: Place, fence: Fence) -> None:
    """Note where the workspace is, with the fence that belongs to it, in one transaction."""
    with write_transaction(db):
        key = f"{_KEY}{workspace_id}"
        write(db, "delete from house_settings where key = ?", key)
        if place != "here":
            sql = f"insert into house_settings (key, value, updated_at) values (?, ?, {NOW})"
            write(db, sql, key, place)
        for row in rows(db, "select name from sqlite_schema where type = 'trigger'"):
            if str(row["name"]).startswith(_prefix(workspace_id)):
                write(db, f"drop trigger {row['name']}")
        for trigger in _triggers(workspace_id, fence):
            write(db, trigger)


def unsaved_replies(db: Database, workspace_id: int) -> int:
    """Replies of the workspace that were begun and have no end yet."""
    found = rows(
        db,
        """select count(*) as count from messages m join conversations c
        on c.id = m.conversation_id where c.workspace_id = ?
        and m.role = 'assistant' and m.finish_reason is null""",
        workspace_id,
    )
    return int(found[0]["count"])


def _prefix(workspace_id: int) -> str:
    return f"fence_{int(workspace_id)}_"


def _triggers(workspace_id: int, fence: Fence) -> Iterator[str]:
    if fence == "none":
        return
    # those that only triggers fill are stopped where these begin
    for table in (name for name in OF_WORKSPACE if name not in MADE_BY_TRIGGERS):
        for act, row in (("insert", "new"), ("update", "old"), ("delete", "old")):
            if fence == "questions" and (table, act) in _SAVING_A_REPLY:
                continue
            condition = rows_of(table, workspace_id, row=row)
            if fence == "questions" and (table, act) == ("messages", "insert"):
                condition += " and new.role = 'user'"
            yield (
                f"create trigger {_prefix(workspace_id)}{table}_{act} before {act} on {table} "
                f"when {condition} begin select raise(abort, '{MOVING}'); end"
            )
    yield (
        f"create trigger {_prefix(workspace_id)}itself before update on workspaces "
        f"when old.id = {int(workspace_id)} begin select raise(abort, '{MOVING}'); end"
    )
