"""Which adapter served when: what promoting and rolling back have left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from storage.database import rows


@dataclass(frozen=True)
class Serving:
    """An adapter that was promoted at `started_at`; `undone_at`: when it was rolled back, if so."""

    adapter_id: int
    started_at: str
    undone_at: str | None
    metrics: Mapping[str, Any]
    """What the adapter was judged by: row -> slice -> {"right", "total"}; {} for a tainted one."""


def servings(db: Database, workspace_id: int, limit: int = 100) -> list[Serving]:
    """The newest `limit` promotions of the workspace, the oldest of them first."""
    found = rows(
        db,
        """select s.adapter_id, s.started_at, s.undone_at, a.metrics from servings s
        join adapters a on a.id = s.adapter_id where s.workspace_id = ?
        order by s.id desc limit ?""",
        workspace_id,
        limit,
    )
    return [Serving(**{**row, "metrics": json.loads(row["metrics"])}) for row in reversed(found)]


def serving_at(found: list[Serving], moment: str) -> Serving | None:
    """Which of them served at an instant (UTC, as the rows have it); None: the base model."""
    here = (
        one
        for one in reversed(found)
        if one.started_at <= moment and (one.undone_at is None or one.undone_at > moment)
    )
    return next(here, None)
