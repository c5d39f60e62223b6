"""How often each key asks: in memory, so a restart forgives what was sent before."""

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0


class Pace:
    """Requests of the last minute by key, from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: dict[int, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, key_id: int, per_minute: int) -> float:
        """Seconds until this key may ask again; 0 when now, and then this request is counted."""
        with self._lock:
            now = self._clock()
            sent = self._sent.setdefault(key_id, deque())
            while sent and sent[0] <= now - WINDOW_S:
                sent.popleft()
            if len(sent) >= per_minute:
                return sent[-per_minute] + WINDOW_S - now
            sent.append(now)
            return 0.0
