"""A Gradio app with only the addresses that its page needs, and a fair share for each caller.

Gradio answers at some eighty addresses, many without asking for a login: uploads, a proxy, its
component server, editing by AI. A page of ours needs a dozen; the others are not there. What a page
was sent is found again by a random number that the page itself chose; here that number belongs to
the cookies it came with, so that knowing it is of no use to anybody else.
"""

import hashlib
import json
import logging
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import gradio as gr
from gradio import queueing
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.readers import LEAST, SHARE
from assistant.security import SESSION_COOKIE, VISITOR_COOKIE
from assistant.sent_files import only_uploads
from assistant.throttle import Buckets

log = logging.getLogger(__name__)

WAIT_S = 2
"""Seconds after which it is worth another try."""

BEFORE = b"x-apprentice-before"
"""How many questions wait before this one."""

ANSWERS = "answers"
"""The concurrency id of a page's events that are answered by the model."""

CallerOf = Callable[[Request], str]
"""Whose share a request counts to."""

_PAGE = (
    r"/?|/(assets|static)/[\w./-]+|/theme\.css|/favicon\.ico|/manifest\.json|/config/?"
    r"|/gradio_api/(queue/(join|data)|cancel|reset|heartbeat/[\w-]+|startup-events|info)/?"
)
_UPLOADS = r"|/gradio_api/(upload|upload_progress)"
_UNREAD = (b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server")
"""Headers from which Gradio takes its own address, that of events among it, whoever sent them."""
_FIELDS = ("fn_index", "data", "event_data", "trigger_id", "session_hash", "event_id")
"""What an event of a page says; others switch on what pages do not use."""
_SESSION = re.compile(r"[\w-]{1,64}", re.ASCII)
_CALLER = "apprentice.caller"


class _Faults:
    """What Gradio's queue takes for the module `traceback`: it would print what an event sent."""

    @staticmethod
    def print_exc() -> None:
        """The error that is being handled, as the log has any other."""
        if isinstance(sys.exception(), gr.Error):
            log.info("a page's event was refused by Gradio")
        else:
            log.exception("a page's event failed")


queueing.traceback = _Faults


class GradioDoor:
    """Lets the needed requests through to a mounted Gradio app; 404 for the rest."""

    def __init__(
        self,
        app: ASGIApp,
        page: gr.Blocks,
        caller_of: CallerOf,
        *,
        uploads: bool = False,
        questions_per_second: float = 0.0,
        in_line: Callable[[int], int] = lambda asked: 0,
    ) -> None:
        """`questions_per_second` of one caller are let through, `BURST_S` seconds' worth at once
        (0: as many as there is room for). `in_line` says how many of so many questions that were
        asked have no word of an answer yet."""
        self.app = app
        self._in_line = in_line
        self._questions = Buckets(questions_per_second) if questions_per_second else None
        self._page = page
        self._caller_of = caller_of
        self._uploads = uploads
        self._needed = re.compile(_PAGE + (_UPLOADS if uploads else ""))
        # Gradio sums up its last 10,000 events in a table after each one, for a page that is closed
        _queue(page).ANALYTICS_MAX_EVENTS = 1
        _queue(page).ANAYLTICS_CACHE_FREQUENCY = sys.maxsize

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        if scope["type"] != "http" or not self._needed.fullmatch(path) or ".." in path:
            if scope["type"] == "http":
                await PlainTextResponse("Not found", 404)(scope, receive, send)
            return
        kept = [item for item in scope["headers"] if item[0] not in _UNREAD]
        scope = {**scope, "headers": kept}
        what = path.removeprefix("/gradio_api/")
        if what in ("queue/join", "cancel"):
            await self._event(what, scope, receive, send)
        elif what == "queue/data":
            await self._told(scope, receive, send)
        elif (
            what == "reset"
        ):  # Gradio does nothing there, and answers 500 to bytes that are no text
            await JSONResponse({"success": True})(scope, receive, send)
        elif what.startswith("heartbeat/"):
            await self._alive(what, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    # ---- what a page asks for

    async def _event(self, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        """An event, or the end of one: looked at here, since Gradio answers 500 to nonsense."""
        request = Request(scope, receive)
        event = _read(await request.body())
        try:
            known = self._is_event(event) if what == "queue/join" else _is_cancel(event)
        except RecursionError:
            known = False
        if not known:
            await PlainTextResponse("This is no event of the page.", 422)(scope, receive, send)
            return
        if what == "queue/join":
            caller = await run_in_threadpool(self._caller_of, request)
            refusal = self._refusal(caller, event["fn_index"])
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            scope[_CALLER] = caller
            if self._page.fns[event["fn_index"]].concurrency_id == ANSWERS:
                send = self._telling(send)
        event = {name: event[name] for name in _FIELDS if name in event}
        event["session_hash"] = _own(request, event["session_hash"])
        # half a character that came back would break off what Gradio sends
        body = json.dumps(event, ensure_ascii=False).encode(errors="replace")
        await self.app(_of_length(scope, len(body)), _replayed(body, receive), send)

    async def _told(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What came of a session's events, to whom they are of."""
        request = Request(scope, receive)
        asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = asked.get("session_hash", [""])[-1]
        session = _own(request, given) if _SESSION.fullmatch(given) else ""
        if session not in _queue(self._page).pending_messages_per_session:
            # in Gradio's own words, which its page knows; it would break off in mid-stream
            lost = {
                "msg": "unexpected_error",
                "message": "404: Not Found",
                "session_not_found": True,
                "success": False,
            }
            said = f"data: {json.dumps(lost)}\n\n"
            await Response(said, media_type="text/event-stream")(scope, receive, send)
            return
        query = urlencode({**asked, "session_hash": [session]}, doseq=True).encode()
        try:
            await self.app({**scope, "query_string": query}, receive, send)
        finally:  # Gradio keeps an empty set for every session there ever was
            events = _queue(self._page).pending_event_ids_session
            if not events.get(session, True):
                del events[session]

    async def _alive(self, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A page says that it is still open."""
        given = what.partition("/")[2]
        if not _SESSION.fullmatch(given):
            await PlainTextResponse("Not found", 404)(scope, receive, send)
            return
        path = scope.get("root_path", "") + "/gradio_api/heartbeat/" + _own(Request(scope), given)
        await self.app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    # ---- whether it may

    def _is_event(self, event: Any) -> bool:
        return (
            isinstance(event, dict)
            and type(event.get("fn_index")) is int
            and event["fn_index"] in self._page.fns
            and isinstance(event.get("data"), list)
            and (event.get("trigger_id") is None or type(event["trigger_id"]) is int)
            and _is_session(event.get("session_hash"))
            and only_uploads([event["data"], event.get("event_data")], uploads=self._uploads)
        )

    def _refusal(self, caller: str, index: int) -> Response | None:
        if self._has_enough(caller, index):
            return _busy("Too many of your requests are being worked on: wait for one to end.")
        if self._questions and self._page.fns[index].concurrency_id == ANSWERS:
            wait = self._questions.wait(caller)
            if wait:
                said = "Too many questions come from your address: wait a moment."
                return _busy(said, math.ceil(wait))
        return None

    def _has_enough(self, caller: str, index: int) -> bool:
        """Whether this caller's events take their share of the places already."""
        queue, wanted = _queue(self._page), self._page.fns[index].concurrency_id
        by = [(item.request.scope.get(_CALLER), item.concurrency_id) for item in _events(queue)]
        own = [kind for who, kind in by if who == caller]
        limit = self._page.fns[index].concurrency_limit
        places, callers = queue.max_size, 0
        if isinstance(limit, int) and wanted == ANSWERS:
            places = limit
            callers = len({who for who, kind in by if kind == ANSWERS} | {caller})
        share = max(min(LEAST, places), places // max(SHARE, callers))
        return len(own) >= queue.max_size // SHARE or own.count(wanted) >= share

    def _telling(self, send: Send) -> Send:
        """`send` with `BEFORE` among the headers: the page says so before its event has begun."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                events = _events(_queue(self._page))
                asked = sum(item.concurrency_id == ANSWERS for item in events)
                before = self._in_line(asked - 1)
                if before:
                    message["headers"] = [*message["headers"], (BEFORE, str(before).encode())]
            await send(message)

        return told


def _queue(page: gr.Blocks) -> Any:
    return page._queue


def _events(queue: Any) -> Iterator[Any]:
    """Those that wait and those at work."""
    for waiting in queue.event_queue_per_concurrency_id.values():
        yield from waiting.queue
    for job in queue.active_jobs:
        yield from job or ()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_session(value: Any) -> bool:
    return isinstance(value, str) and _SESSION.fullmatch(value) is not None


def _is_cancel(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and type(event.get("fn_index")) is int
        and isinstance(event.get("event_id"), str)
        and _is_session(event.get("session_hash"))
    )


def _own(request: Request, session: str) -> str:
    """The session as it is called behind the door: of these cookies and this key alone."""
    proof = [request.cookies.get(name, "") for name in (SESSION_COOKIE, VISITOR_COOKIE)]
    proof.append(request.headers.get("authorization", ""))
    return hashlib.sha256("\n".join([*proof, session]).encode(errors="replace")).hexdigest()[:32]


def _busy(said: str, seconds: int = WAIT_S) -> Response:
    return JSONResponse({"detail": said}, 429, {"Retry-After": str(seconds)})


def _of_length(scope: Scope, length: int) -> Scope:
    kept = [item for item in scope["headers"] if item[0] != b"content-length"]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` with the body that was read already as its first message."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed
