"""What became of one person's corrections: which are live, and since when."""

from dataclasses import dataclass

from sqlite_utils import Database

from storage.adapters import serving_adapter
from storage.database import one, rows
from storage.rounds import taught_before
from storage.text import clean

_LOOKED_AT = 50
"""The newest corrections of a person; an older one is no news."""


@dataclass(frozen=True)
class LiveCorrection:
    """A correction that is answered with. `adapter_id` None: given as it is, not yet taught."""

    feedback_id: int
    question: str
    live_at: str
    adapter_id: int | None


def learned_now(db: Database, workspace_id: int) -> dict[int, int]:
    """Feedback id -> the adapter that serves and was taught it as it is worded now."""
    serving = serving_adapter(db, workspace_id)
    if serving is None:
        return {}
    taught = taught_before(db, serving.id)
    return {feedback_id: serving.id for feedback_id, same in taught.items() if same}


def newest_live_correction(
    db: Database, workspace_id: int, contributor: str
) -> LiveCorrection | None:
    """The contributor's correction that came into service last; None where none did."""
    approved = rows(
        db,
        """select id, question, reviewed_at from feedback where contributor = ?
        and workspace_id = ? and status = 'approved' and correction is not null
        order by reviewed_at desc, id desc limit ?""",
        clean(contributor),
        workspace_id,
        _LOOKED_AT,
    )
    if not approved:
        return None
    learned = learned_now(db, workspace_id)
    since = _serving_since(db, workspace_id)
    live = [
        LiveCorrection(
            row["id"],
            row["question"],
            since if row["id"] in learned else row["reviewed_at"],
            learned.get(row["id"]),
        )
        for row in approved
    ]
    return max(live, key=lambda one: (one.live_at, one.feedback_id))


def _serving_since(db: Database, workspace_id: int) -> str:
    row = one(
        db,
        """select started_at from servings where workspace_id = ? and undone_at is null
        order by id desc limit 1""",
        workspace_id,
    )
    return str(row["started_at"]) if row else ""
