"""What an admin looks at first: what is said, judged, open and serving, and the room it takes."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from storage.adapters import serving_adapter
from storage.feedback import count_feedback
from storage.gaps import gaps
from storage.overview import RatedWeek, count_conversations, rated_weeks
from storage.proofs import unproved
from storage.records import Workspace


@dataclass(frozen=True)
class Overview:
    """One workspace; conversations and open questions are those of the last 30 days."""

    conversations: int
    weeks: list[RatedWeek]
    feedback: dict[str, int]
    """By status."""
    open_questions: int
    """Declined, disliked or without a passage: the newest few hundred are looked at."""
    serving: int | None
    """The adapter; None is the base model."""
    unproved: str = ""
    """What was taken out of service by itself, as a sentence."""


def overview(db: Database, workspace: Workspace) -> Overview:
    """What goes on in the workspace; each part stops at its limit (`storage.overview`)."""
    serving = serving_adapter(db, workspace.id)
    floor = workspace.settings.relevance_floor
    return Overview(
        conversations=count_conversations(db, workspace.id),
        weeks=rated_weeks(db, workspace.id),
        feedback=count_feedback(db, workspace.id),
        open_questions=len(gaps(db, workspace.id, floor=floor)),
        serving=serving.id if serving else None,
        unproved=unproved(db, workspace.id),
    )


def disk_use(root: Path) -> dict[str, int]:
    """Bytes in each folder of the data directory, the largest first; `database` is its files."""
    used: Counter[str] = Counter()
    for folder, _, names in os.walk(root):
        inside = Path(folder).relative_to(root).parts
        for name in names:
            with suppress(FileNotFoundError):  # deleted meanwhile
                size = os.lstat(os.path.join(folder, name)).st_size
                used[inside[0] if inside else "database"] += size
    return dict(used.most_common())
