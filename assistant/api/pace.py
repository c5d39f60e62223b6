"""How often each key asks, or one address with it: in memory, so a restart forgives what was sent
before."""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

WINDOW_S = 60.0
MOST_REMEMBERED = 10_000
"""Askers; those who asked nothing in the last minute are forgotten when there are more."""


class Pace:
    """Requests of the last minute by who sent them, from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: dict[Hashable, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, who: Hashable, per_minute: int) -> float:
        """Seconds until this one may ask again; 0 when now, and then this request is counted."""
        with self._lock:
            now = self._clock()
            if len(self._sent) > MOST_REMEMBERED:
                kept = {one: sent for one, sent in self._sent.items() if sent[-1] > now - WINDOW_S}
                self._sent = kept
            sent = self._sent.setdefault(who, deque())
            while sent and sent[0] <= now - WINDOW_S:
                sent.popleft()
            if len(sent) >= per_minute:
                return sent[-per_minute] + WINDOW_S - now
            sent.append(now)
            return 0.0
