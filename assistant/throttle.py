"""So many requests a second from one address: 429 for more, before anything is done for them."""

import math
import threading
import time
from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api.errors import ApiError, error_response
from assistant.callers import Proxies

BURST_S = 5
"""Seconds' worth of requests that may come at once: a page with its parts, several tabs."""
QUESTION_COSTS = 5
"""Requests that a question on the chat page counts as: it takes some 30 ms and an answer."""
MOST_ADDRESSES = 10_000
"""Addresses that are remembered; those at rest are forgotten when there are more."""

_FREE = ("/ui/", "/assets/", "/static/", "/admin/assets/", "/admin/static/", "/healthz")
"""Files from the disk, many to a page; and what a monitor asks, whose 429 would be a restart."""


class Buckets:
    """A bucket for each address that fills at `per_second` up to `BURST_S` seconds' worth."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._full = per_second * BURST_S
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # address -> what was left, when
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Seconds until this address may ask again; 0 when now, and then it is counted."""
        with self._lock:
            now = self._clock()
            if len(self._left) > MOST_ADDRESSES:
                self._forget(now)
            left, then = self._left.get(address, (self._full, now))
            left = min(self._full, left + (now - then) * self._per_second)
            if left < 1:
                self._left[address] = left, now
                return (1 - left) / self._per_second
            self._left[address] = left - 1, now
            return 0.0

    def _forget(self, now: float) -> None:
        """Those whose bucket is full again are as if they had never been here."""
        kept = {
            address: (left, then)
            for address, (left, then) in self._left.items()
            if left + (now - then) * self._per_second < self._full
        }
        # all of them at work: a flood from everywhere, against which this is no help
        self._left = kept if len(kept) <= MOST_ADDRESSES else {}


class Throttle:
    """Stands before the pages; an unknown address (`Proxies`) is let through."""

    def __init__(self, app: ASGIApp, per_second: float, proxies: Proxies) -> None:
        self.app = app
        self._buckets = Buckets(per_second) if per_second else None
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FREE) or not self._buckets:
            await self.app(scope, receive, send)
            return
        address = self._proxies.address_of(scope)
        wait = self._buckets.wait(address) if address else 0.0
        if not wait:
            await self.app(scope, receive, send)
            return
        seconds = math.ceil(wait)
        said = f"Too many requests come from your address: try again in {seconds} s."
        answer: Response
        if scope["path"].startswith("/v1/"):
            answer = error_response(ApiError(429, said, code="rate_limit_exceeded", wait_s=seconds))
        else:
            answer = PlainTextResponse(said, 429, {"Retry-After": str(seconds)})
        await answer(scope, receive, send)
