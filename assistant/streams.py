"""The replies that are being made now: each in a thread of its own, each to be stopped by anybody
who may.

A page's generator is resumed on whatever thread is free, but a SQLite connection stays on its own;
so the reply runs here and its events are handed over.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from assistant.reply import Delta, ReplyEvent

LONGEST_S = 16.0
"""Between two `Waits`."""

Events = Callable[[threading.Event], Iterator[ReplyEvent]]
Pause = Callable[[], float]


@dataclass(frozen=True)
class Waits:
    """Nothing has been said yet."""


class Streams:
    """Running replies by conversation."""

    def __init__(self) -> None:
        self._running: dict[str, set[threading.Event]] = {}
        self._lock = threading.Lock()

    def running(self, conversation_id: str) -> bool:
        """Whether a reply is being made in this conversation."""
        with self._lock:
            return conversation_id in self._running

    def announce(
        self, conversation_id: str, cancel: threading.Event | None = None
    ) -> threading.Event:
        """A reply that is about to be made; a stop reaches it from now on. `forget` it after."""
        cancel = cancel or threading.Event()
        with self._lock:
            self._running.setdefault(conversation_id, set()).add(cancel)
        return cancel

    def run(self, events: Events, cancel: threading.Event) -> Iterator[ReplyEvent]:
        """What `events(cancel)` gives, made in another thread; raises what it raises.

        Pieces that wait together come as one. Closing this iterator stops the engine, and the
        reply is saved as interrupted.
        """
        with closing(self.run_and_wait(events, cancel)) as given:
            for event in given:
                if not isinstance(event, Waits):
                    yield event

    def run_and_wait(
        self,
        events: Events,
        cancel: threading.Event,
        every: float | None = None,
        pause: Pause = lambda: 0.0,
    ) -> "Generator[ReplyEvent | Waits, None, None]":
        """As `run`; until there is something to give, a `Waits` after `every` seconds, after twice
        that and so on: hundreds may wait, and what each is told costs the page's time.

        What is said within `pause()` seconds after a piece was given comes with the next: who reads
        sleeps until then, where each piece would wake a thread 50 times a second.
        """
        waiting: SimpleQueue[ReplyEvent | BaseException | None] = SimpleQueue()
        pump = copy_context().run  # what is logged there names the request too
        threading.Thread(
            target=pump, args=(_pump, events, cancel, waiting, pause), name="reply", daemon=True
        ).start()
        try:
            yield from _handed_over(waiting, every)
        finally:
            cancel.set()

    def stop(self, conversation_id: str) -> None:
        """End every reply of this conversation."""
        with self._lock:
            for cancel in self._running.get(conversation_id, ()):
                cancel.set()

    def forget(self, conversation_id: str, cancel: threading.Event) -> None:
        """An announced reply is over."""
        with self._lock:
            self._running[conversation_id].discard(cancel)
            if not self._running[conversation_id]:
                del self._running[conversation_id]


def _pump(
    events: Events,
    cancel: threading.Event,
    waiting: "SimpleQueue[ReplyEvent | BaseException | None]",
    pause: Pause,
) -> None:
    try:
        for event in _seldom(events(cancel), pause):
            waiting.put(event)
    except BaseException as error:  # noqa: BLE001  raised again by who reads
        waiting.put(error)
    waiting.put(None)


def _seldom(events: Iterator[ReplyEvent], pause: Pause) -> Iterator[ReplyEvent]:
    """`events`, a piece at the earliest `pause()` seconds after the last one."""
    held, due = "", 0.0
    try:
        for event in events:
            if isinstance(event, Delta):
                held += event.text
                if time.monotonic() < due:
                    continue
                due = time.monotonic() + pause()
            if held:
                yield Delta(held)
                held = ""
            if not isinstance(event, Delta):
                yield event
    except Exception:
        if held:
            yield Delta(held)  # what was said is heard before what went wrong
        raise


def _handed_over(
    waiting: "SimpleQueue[ReplyEvent | BaseException | None]", every: float | None
) -> "Iterator[ReplyEvent | Waits]":
    while True:
        text = ""
        try:
            event = waiting.get(timeout=every)
        except Empty:
            yield Waits()
            every = min(2 * (every or 0), LONGEST_S)
            continue
        every = None
        while isinstance(event, Delta):
            text += event.text
            if waiting.empty():
                break
            event = waiting.get()
        if text:
            yield Delta(text)
        if event is None:
            return
        if isinstance(event, BaseException):
            raise event
        if not isinstance(event, Delta):
            yield event
