"""Each request of the web: a number of its own, how it ended, how long it took.

Neither its address nor its body is kept: both may hold what somebody wrote.
"""

import logging
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.logs import REQUESTS, request_id

log = logging.getLogger(REQUESTS)

DOORS = {"admin", "embed", "healthz", "metrics", "ui", "v1"}
METHODS = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
UNANSWERED = 499
"""The status of a request whose sender left before the answer began, as nginx has it."""

Ended = Callable[[str, str, int], None]
"""Told the door, the method and the status of a request."""


class Observed:
    """Stands before everything else."""

    def __init__(self, app: ASGIApp, ended: Ended) -> None:
        self.app = app
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, status, started = secrets.token_hex(8), UNANSWERED, time.perf_counter()
        token = request_id.set(number)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"])["X-Request-Id"] = number
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except ClientDisconnect:  # in the middle of what they were sending
            pass
        except Exception:
            status = 500
            raise
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            door = door_of(scope["path"])
            took = round((time.perf_counter() - started) * 1000)
            fields = {"door": door, "method": method, "status": status, "ms": took}
            level = logging.WARNING if status >= 500 else logging.INFO
            log.log(level, "request", extra={"fields": fields})
            self._ended(door, method, status)
            request_id.reset(token)


def door_of(path: str) -> str:
    """Which part of the server an address is of; the rest is `page`, whatever it is."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return first if first in DOORS else "page"
