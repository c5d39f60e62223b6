"""Work that tells its progress by a call, as the generator of events that a verb is."""

import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any, TypeVar

from assistant.verbs import Event
from storage.errors import ApprenticeError

Done = TypeVar("Done")
Say = Callable[[float | None, str], None]
STOP_S = 30.0
"""Seconds that work whose caller left gets to stop."""


class CallerLeft(ApprenticeError):
    """Nobody waits for the work any more."""


def working(work: Callable[[Say], Done], *, outlives: bool = False) -> Generator[Event, None, Done]:
    """Does `work(say)` in a thread; yields what it says as progress, returns what it returns.

    When the caller leaves, the next `say` ends the work, or it goes on if it `outlives`. Raises
    what the work raises.
    """
    told: SimpleQueue[Event | None] = SimpleQueue()
    ended: dict[str, Any] = {}
    left = threading.Event()

    def say(share: float | None, note: str) -> None:
        if left.is_set() and not outlives:
            raise CallerLeft("Whoever asked for this left before it was done.")
        told.put({"progress": share, "note": note})

    def run() -> None:
        try:
            ended["result"] = work(say)
        except BaseException as error:  # noqa: BLE001  raised again where the work is waited for
            ended["error"] = error
        finally:
            told.put(None)

    thread = threading.Thread(target=run, name="work", daemon=True)
    thread.start()
    try:
        while (event := told.get()) is not None:
            yield event
    finally:
        left.set()
        if not outlives:
            thread.join(STOP_S)
    if "error" in ended:
        raise ended["error"]
    result: Done = ended["result"]
    return result
