"""Who looks at which row of the queue: kept in memory, and over by itself after a while."""

import threading
import time

KEPT_S = 120.0
"""A look ends then, or with the person's next row; deciding on one takes about that long."""


class Lookers:
    """Of one server, which is the only one of its data."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[str, tuple[int, float]] = {}

    def look(self, owner: str, row: int, *, now: float | None = None) -> list[str]:
        """Note that `owner` looks at `row` and no other; the owners who look at it too, sorted."""
        now = time.monotonic() if now is None else now
        with self._lock:
            since = now - KEPT_S
            self._looks = {who: one for who, one in self._looks.items() if one[1] > since}
            self._looks[owner] = (row, now)
            return sorted(
                who for who, (other, _) in self._looks.items() if other == row and who != owner
            )
