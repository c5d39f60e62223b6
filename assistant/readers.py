"""Those who read a reply over HTTP while it is made: so many at once, none after they have left."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from assistant.reply import ReplyEvent
from assistant.streams import Events, Streams

AT_ONCE = 32
"""Each on a thread of its own, so that pages keep theirs; the engine has fewer slots and queues."""


class Readers:
    """Readers of one kind, such as the programs at the API."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(AT_ONCE)
        self._reading = 0

    @property
    def full(self) -> bool:
        """Whether the next one is to try again later."""
        return self._reading >= AT_ONCE

    async def follow(
        self, request: Request, events: Events, cancel: threading.Event
    ) -> AsyncGenerator[ReplyEvent, None]:
        """What `events(cancel)` gives; the reader's leaving stops the engine, whatever it does."""
        self._reading += 1
        leaving = asyncio.create_task(_until_left(request, cancel))
        pieces = Streams().run(events, cancel)
        try:
            while event := await to_thread.run_sync(next, pieces, None, limiter=self._threads):
                yield event
        finally:
            self._reading -= 1
            cancel.set()
            leaving.cancel()


async def _until_left(request: Request, cancel: threading.Event) -> None:
    """Set `cancel` when the reader hangs up: they may do so long before anything is sent."""
    with suppress(Exception):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    cancel.set()
