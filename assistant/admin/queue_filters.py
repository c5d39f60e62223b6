"""What the queue is filtered by: the statuses, and two lists of what a person should look at."""

from assistant.admin.feedback_view import STATUS_NAMES
from storage.feedback import COUNTED

FLAGGED = "flagged"
"""Waits, came from outside, and something about it is odd (`suspicion.py`)."""
STALE = "stale"
"""Approved, and made from passages that have changed since."""


def filters(counts: dict[str, int], stale: int, odd: int, shown: str) -> list[tuple[str, str]]:
    """The statuses with how many there are; flagged and stale ones only where there are some."""
    found = [(f"{name} ({_counted(counts[key])})", key) for key, name in STATUS_NAMES.items()]
    if odd or shown == FLAGGED:
        found.append((f"Flagged ({odd})", FLAGGED))
    return [*found, (f"Stale ({stale})", STALE)] if stale or shown == STALE else found


def _counted(count: int) -> str:
    return f"{count}+" if count == COUNTED else str(count)
