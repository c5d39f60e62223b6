"""Those who read a reply over HTTP while it is made: so many at once, none after they have left."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from assistant.reply import ReplyEvent
from assistant.streams import Events, Streams

SHARE = 4
"""One caller has at most this part of the places, and of more callers each as much as another."""
LEAST = 2
"""Places that a caller may take however many there are: two tabs."""
AT_ONCE = 32
"""Each on a thread of its own, so that pages keep theirs; the engine has fewer slots and queues."""


class Readers:
    """Readers of one kind, such as the programs at the API."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(AT_ONCE)
        self._reading: Counter[str] = Counter()

    def full(self, caller: str = "") -> bool:
        """Whether the next one, or the next of this caller, is to try again later."""
        if self._reading.total() >= AT_ONCE:
            return True
        callers = len(self._reading.keys() | {caller})
        share = max(LEAST, AT_ONCE // max(SHARE, callers))
        return bool(caller) and self._reading[caller] >= share

    @contextmanager
    def place(self, caller: str = "") -> Iterator[None]:
        """Keeps the place of one who comes, until `follow` begins.

        Without it all of a crowd find a place free and wait for the threads that look up who they
        are: of 500 widgets the last was told "busy" after 16 s.
        """
        self._reading[caller] += 1
        try:
            yield
        finally:
            self._reading[caller] -= 1
            if not self._reading[caller]:
                del self._reading[caller]

    async def follow(
        self, request: Request, events: Events, cancel: threading.Event, caller: str = ""
    ) -> AsyncGenerator[ReplyEvent, None]:
        """What `events(cancel)` gives; the reader's leaving stops the engine, whatever it does."""
        leaving = asyncio.create_task(_until_left(request, cancel))
        pieces = Streams().run(events, cancel)
        try:
            with self.place(caller):
                while event := await to_thread.run_sync(next, pieces, None, limiter=self._threads):
                    yield event
        finally:
            cancel.set()
            leaving.cancel()


async def _until_left(request: Request, cancel: threading.Event) -> None:
    """Set `cancel` when the reader hangs up: they may do so long before anything is sent."""
    with suppress(Exception):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    cancel.set()
