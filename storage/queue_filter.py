"""Which feedback of a workspace is wanted: by status, site, and whom it waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlite_utils import Database

from storage.database import rows
from storage.errors import BadInput
from storage.records import FeedbackStatus
from storage.text import clean, to_json

COUNTED = 1000
"""Rows of a kind that are counted; where there are more, a person needs no exact number."""
_WAITS = "f.status in ('new', 'quarantined')"


@dataclass(frozen=True)
class Sought:
    """What a list or a search is narrowed to; the defaults let everything through."""

    status: str | None = None
    reason: str | None = None
    """Given by anybody."""
    site: str | None = None
    half: bool = False
    """Only what has a first yes and waits for a second reviewer."""
    waits_for: Sequence[str] = ()
    """All names of one person: only what waits, without what they gave or said yes to."""

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL about `feedback f` left joined to `first_yeses y`, and its values. BadInput for a
        status that there is not."""
        named: dict[str, Any] = {"f.status = ?": known_status(self.status)}
        named["f.site = ?"] = self.site
        named["instr(f.reasons || f.review_reasons, ?)"] = (
            to_json(self.reason) if self.reason else None
        )
        given = {sql: value for sql, value in named.items() if value is not None}
        parts, values = [*given], [*given.values()]
        if self.half:
            parts.append("f.id in (select feedback_id from first_yeses where waits)")
        if self.waits_for:
            names = to_json(list(self.waits_for))
            own = "f.contributor not in (select value from json_each(?))"
            said = "coalesce(y.reviewer, '') not in (select value from json_each(?))"
            parts += [_WAITS, own, said]
            values += [names, names]
        return parts, values


def known_status(status: str | None) -> str | None:
    """The status as given, or None for any; BadInput for one that there is not."""
    known = get_args(FeedbackStatus)
    if status is not None and status not in known:
        raise BadInput(f"{clean(status)!r} is no status: use one of {', '.join(known)}.")
    return status


def count_sought(db: Database, workspace_id: int, sought: Sought) -> int:
    """How many there are, COUNTED at most."""
    parts, values = sought.conditions()
    found = rows(
        db,
        f"""select count(*) as count from (
            select 1 from feedback f left join first_yeses y on y.feedback_id = f.id
            where {" and ".join(["f.workspace_id = ?", *parts])} limit ?)""",
        *(workspace_id, *values, COUNTED),
    )
    return int(found[0]["count"])
