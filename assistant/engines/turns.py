"""Whose turn it is where only replies by one adapter can be made together.

llama.cpp decodes the slots of one adapter together and lets the others stand until those have
ended. So replies wait here instead, by adapter, and what goes in goes in as one batch.
"""

import threading
from dataclasses import dataclass

PATIENCE_S = 10.0
"""After so long a reply goes in beside another adapter's, and llama.cpp sees to it."""
TICK_S = 0.1
"""How often one that waits looks whether it is still wanted."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    number: int
    adapter_id: int | None


class Turns:
    """At most `places` replies at once, all by one adapter. Safe for many threads.

    The adapter that has waited longest is next, with all that wait for it by then; who comes
    later joins while nobody waits for another.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._changed = threading.Condition()
        self._now: int | None = None
        self._begun = self._count = 0  # by number: when this turn began, who came last
        self._running = 0
        self._line: list[_Waiting] = []
        self._closed = False

    def enter(
        self,
        adapter_id: int | None,
        cancel: threading.Event,
        patience_s: float = PATIENCE_S,
    ) -> bool:
        """Wait until a reply by this adapter may begin; False: it is no longer wanted.

        After True `leave` must be called once.
        """
        with self._changed:
            self._count += 1
            mine = _Waiting(self._count, adapter_id)
            self._line.append(mine)
            try:
                while not self._may(mine) and patience_s > 0:
                    if cancel.is_set() or self._closed:
                        return False
                    self._changed.wait(TICK_S)
                    patience_s -= TICK_S
                self._begin(adapter_id)
                return True
            finally:
                self._line.remove(mine)
                self._changed.notify_all()

    def leave(self) -> None:
        """A reply has ended."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Whoever waits is no longer wanted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _may(self, mine: _Waiting) -> bool:
        if not self._running:
            return mine is self._line[0]
        if mine.adapter_id != self._now or self._running >= self._places:
            return False
        ahead = [one.adapter_id for one in self._line if one.number < mine.number]
        return self._now not in ahead if mine.number <= self._begun else not ahead

    def _begin(self, adapter_id: int | None) -> None:
        if not self._running:
            self._now, self._begun = adapter_id, self._count
        self._running += 1
