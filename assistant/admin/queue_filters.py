"""What the queue is filtered by: the statuses, and lists of what a person should look at."""

from collections.abc import Mapping

from assistant.admin.feedback_view import STATUS_NAMES
from storage.queue_filter import COUNTED

FLAGGED = "flagged"
"""Waits, came from outside, and something about it is odd (`suspicion.py`)."""
STALE = "stale"
"""Approved, and made from passages that have changed since."""
HALF = "half"
"""Has a first yes and waits for a second reviewer."""
MINE = "mine"
"""Waits, and the person neither gave it nor said yes to it."""
_APART = {MINE: "Waits for me", HALF: "Waits for a second", FLAGGED: "Flagged", STALE: "Stale"}


def filters(
    counts: Mapping[str, int], apart: Mapping[str, int], shown: str
) -> list[tuple[str, str]]:
    """The statuses with how many there are; of the lists `apart` those with some, and `shown`."""
    found = [(f"{name} ({_counted(counts[key])})", key) for key, name in STATUS_NAMES.items()]
    return found + [
        (f"{name} ({_counted(apart.get(key, 0))})", key)
        for key, name in _APART.items()
        if apart.get(key) or shown == key
    ]


def _counted(count: int) -> str:
    return f"{count}+" if count == COUNTED else str(count)
