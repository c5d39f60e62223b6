"""The website widget: its script, the page in its frame, and what that page asks of the server.

`GET /widget.js` draws the button; `GET /embed/{key}` is framed by the key's websites and by no
other. That page talks to its own origin, so `guards.SameOrigin` refuses every other page's request.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from assistant.api.pace import Pace
from assistant.avatar import avatar_response
from assistant.callers import Proxies
from assistant.chat_visit import own_conversation, own_reply
from assistant.chat_words import ENGLISH
from assistant.embed_view import shown
from assistant.embed_visit import (
    Guest,
    LimitReached,
    TooFast,
    check_limits,
    embed_visit,
    opened,
    websites,
)
from assistant.feedback_reasons import known_reasons
from assistant.plain_pages import nothing_here_page
from assistant.readers import SHARE, Readers
from assistant.reply import Delta, ReplyEvent, ReplyOptions, reply
from assistant.streams import Streams
from storage.avatars import avatar_png
from storage.conversations import (
    delete_conversation,
    feedback_of,
    list_conversations,
    messages_of,
    open_thread,
    start_conversation,
)
from storage.errors import ApprenticeError, BadInput, Moving, NotFound, Refused
from storage.feedback import add_feedback
from storage.fences import refuse_moving
from storage.records import Message, Workspace

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

UI = Path(__file__).parent / "ui"
JUDGED_AT_MOST = 20
"""Judgements on one reply: nobody means more, and a person reads them."""
FAULT = "An error at the server ended this answer; its log has the details."

# Nothing but our own files, and a frame of the key's websites; 'self' is the admin's preview.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self' {websites}"
)

_CODES = {LimitReached: "limit", TooFast: "busy", NotFound: "gone", Moving: "moving"}
"""What the panel says in the reader's language."""

Work = Callable[[Guest, dict[str, Any]], Any]


def embed_routes(app: "App") -> list[Route]:
    """The routes, to stand before the chat page's own."""
    embed = _Embed(app)
    answers = {"history": embed.history, "feedback": embed.feedback, "stop": embed.stop}
    return [
        Route("/widget.js", _script, middleware=[Middleware(GZipMiddleware)]),
        Route("/embed/{key}", embed.page),
        Route("/embed/{key}/avatar", embed.avatar),
        Route("/embed/{key}/history", embed.answer(answers["history"])),
        Route("/embed/{key}/feedback", embed.answer(answers["feedback"]), methods=["POST"]),
        Route("/embed/{key}/stop", embed.answer(answers["stop"]), methods=["POST"]),
        Route("/embed/{key}/ask", embed.ask, methods=["POST"]),
    ]


def _script(request: Request) -> Response:
    # asked for again at each page: so that it is gone from all of them when the server is
    headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
    return FileResponse(UI / "widget.js", media_type="text/javascript", headers=headers)


@dataclass(frozen=True)
class _Turn:
    """A question on its way to an answer."""

    workspace: Workspace
    conversation: str
    owner: str
    question: str
    variant_of: str | None
    sources: bool


class _Embed:
    """What happens at the addresses of a key."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._streams = Streams()
        self._readers = Readers()
        self._pace = Pace()
        self._proxies = Proxies(app.settings.proxies)

    def page(self, request: Request) -> Response:
        """The page in the frame; for a key that opens nothing the one that nobody may frame."""
        with closing(self._app.db()) as db:
            try:
                key, workspace = opened(db, request.path_params["key"])
            except NotFound:
                return nothing_here_page("")
            except Moving as error:
                return _refusal(error)
        policy = _POLICY.format(websites=" ".join(websites(key, workspace)))
        page = (UI / "panel.html").read_text(encoding="utf-8")
        page = page.replace('<html lang="en"', f'<html lang="en"{_told_of(workspace)}', 1)
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    def avatar(self, request: Request) -> Response:
        """The assistant's picture."""
        with closing(self._app.db()) as db:
            try:
                _, workspace = opened(db, request.path_params["key"])
            except NotFound:
                return nothing_here_page("")
            except Moving as error:
                return _refusal(error)
            png = avatar_png(db, workspace.id)
        return avatar_response(png) if png else nothing_here_page("")

    def answer(self, work: Work) -> Callable[[Request], Any]:
        """A handler that gives what `work` returns as JSON, or says what is wrong."""

        def worked(request: Request, body: dict[str, Any]) -> Response:
            with embed_visit(self._app, request) as guest:
                return JSONResponse(work(guest, body), headers={"Cache-Control": "no-store"})

        async def handler(request: Request) -> Response:
            try:
                return await to_thread.run_sync(worked, request, await _body(request))
            except ApprenticeError as error:
                return _refusal(error)

        return handler

    # ---- what was said

    def history(self, guest: Guest, body: dict[str, Any]) -> dict[str, Any]:
        """A conversation of the visitor's, or the last one; empty if there is none."""
        wanted = body.get("conversation")
        if wanted is None:
            listed = list_conversations(guest.db, guest.workspace.id, guest.person.owner, 1)
            wanted = listed[0].id if listed else ""
        thread: list[Message] = []
        with suppress(NotFound):  # deleted meanwhile: begin anew
            thread = open_thread(guest.db, own_conversation(guest, wanted).id) if wanted else []
        known = thread[0].conversation_id if thread else ""
        said = feedback_of(guest.db, known)
        sources = _sources(guest.workspace, body)
        return {"conversation": known, "messages": shown(thread, said, sources=sources)}

    def feedback(self, guest: Guest, body: dict[str, Any]) -> dict[str, Any]:
        """A thumb, reasons or a correction; it waits in quarantine for a reviewer."""
        self._keep_pace(guest)
        judged = own_reply(guest, _text(body, "message"))
        said = feedback_of(guest.db, judged.conversation_id)
        if sum(item.message_id == judged.id for item in said) >= JUDGED_AT_MOST:
            raise Refused(f"An answer takes {JUDGED_AT_MOST} judgements: this one has them.")
        correction = _text(body, "correction") or None
        if correction and correction.strip() == judged.content.strip():
            raise BadInput(ENGLISH("change_it"))
        given = add_feedback(
            guest.db,
            message_id=judged.id,
            origin="widget",
            contributor=guest.person.owner,
            rating=body.get("rating"),
            reasons=known_reasons(_list(body, "reasons")),
            comment=_text(body, "comment"),
            correction=correction,
            quarantine=True,
            idempotency_key=_text(body, "key") or None,
        )
        return {"saved": given.id}

    def stop(self, guest: Guest, body: dict[str, Any]) -> dict[str, Any]:
        """End the reply that is being made in this conversation."""
        self._streams.stop(own_conversation(guest, _text(body, "conversation")).id)
        return {}

    # ---- an answer

    async def ask(self, request: Request) -> Response:
        """The answer as server-sent events: `start`, `piece`s, then `done` or `error`."""
        address = self._proxies.address_of(request)
        if self._readers.full(address):
            said = {"error": "Too many answers are being made: try again.", "code": "busy"}
            return JSONResponse(said, 503, {"Retry-After": "1"})
        try:
            with self._readers.place(address):
                turn = await to_thread.run_sync(self._begin, request, await _body(request))
        except ApprenticeError as error:
            return _refusal(error)
        return StreamingResponse(
            self._told(request, turn),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def _begin(self, request: Request, body: dict[str, Any]) -> _Turn:
        with embed_visit(self._app, request) as guest:
            self._keep_pace(guest)
            check_limits(guest)
            refuse_moving(guest.db, guest.workspace.id)
            known = _text(body, "conversation")
            if known:
                found = own_conversation(guest, known)
            else:
                found = start_conversation(guest.db, guest.workspace.id, guest.person.owner)
            variant = _text(body, "variant")
            return _Turn(
                guest.workspace,
                found.id,
                guest.person.owner,
                _text(body, "question"),
                own_reply(guest, variant).id if variant else None,
                _sources(guest.workspace, body),
            )

    async def _told(self, request: Request, turn: _Turn) -> AsyncIterator[str]:
        try:
            yield _sse("start", conversation=turn.conversation)
            async with aclosing(self._events(request, turn)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        yield _sse("piece", text=event.text)
                    else:
                        entry = await to_thread.run_sync(self._entry, turn, event.message)
                        yield _sse("done", message=entry)
        except ApprenticeError as error:
            yield _sse("error", **_said(error))
        except Exception:
            log.exception("the reply failed")
            yield _sse("error", error=FAULT, code="failed")
        finally:
            await to_thread.run_sync(self._drop_if_empty, turn)

    async def _events(self, request: Request, turn: _Turn) -> AsyncGenerator[ReplyEvent, None]:
        """The reply's events, for `stop` to end as well as for the reader's leaving."""
        cancel = self._streams.announce(turn.conversation)
        events = self._readers.follow(
            request,
            lambda cancel: reply(
                self._app,
                turn.workspace,
                turn.conversation,
                turn.owner,
                turn.question,
                options=ReplyOptions(variant_of=turn.variant_of),
                cancel=cancel,
            ),
            cancel,
            self._proxies.address_of(request),
        )
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._streams.forget(turn.conversation, cancel)

    def _keep_pace(self, guest: Guest) -> None:
        """One address has a share of what the key may send, so that it cannot take all of it."""
        key, wait = guest.key, 0.0
        if guest.address:
            share = max(1, key.per_minute // SHARE)
            wait = self._pace.wait((key.id, guest.address), share)
        if wait := wait or self._pace.wait(key.id, key.per_minute):
            raise TooFast(wait)

    def _entry(self, turn: _Turn, message: Message) -> dict[str, Any]:
        with closing(self._app.db()) as db:
            said = feedback_of(db, turn.conversation)
        return shown([message], said, sources=turn.sources)[0]

    def _drop_if_empty(self, turn: _Turn) -> None:
        """A conversation whose first question was refused is none."""
        with closing(self._app.db()) as db, suppress(NotFound):  # erased meanwhile
            if not messages_of(db, turn.conversation):
                delete_conversation(db, turn.conversation)


def _told_of(workspace: Workspace) -> str:
    """What the workspace says of its assistant, as attributes; the website's own comes first."""
    known = workspace.settings
    told = {"name": known.assistant_name, "greeting": known.greeting, "avatar": known.avatar}
    told["starters"] = json.dumps(known.starters) if known.starters else ""
    return "".join(f' data-{name}="{escape(value)}"' for name, value in told.items() if value)


def _sources(workspace: Workspace, body: dict[str, Any]) -> bool:
    """Whether passages are shown: the workspace allows it and the website asked for it."""
    return workspace.settings.embed_sources and bool(body.get("sources"))


async def _body(request: Request) -> dict[str, Any]:
    """What the page sent: the query of a GET, the JSON object of a POST."""
    if request.method != "POST":
        return dict(request.query_params)
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInput("The request is no JSON object: reload the page.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise BadInput(f"{name} is no text: reload the page.")
    return value


def _list(body: dict[str, Any], name: str) -> list[Any]:
    value = body.get(name) or []
    if not isinstance(value, list):
        raise BadInput(f"{name} is no list: reload the page.")
    return value


def _said(error: ApprenticeError) -> dict[str, str]:
    """The sentence, and a name for it where the panel has words in the reader's language."""
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    return {"error": str(error), "code": code}


def _refusal(error: ApprenticeError) -> Response:
    known = {LimitReached: 429, TooFast: 429, Moving: 503}
    known |= {NotFound: 404, BadInput: 400, Refused: 409}
    status = next((status for kind, status in known.items() if isinstance(error, kind)), 503)
    wait = error.seconds if isinstance(error, TooFast) else 1 if isinstance(error, Moving) else 0
    return JSONResponse(_said(error), status, {"Retry-After": str(wait)} if wait else None)


def _sse(kind: str, **more: Any) -> str:
    return f"data: {json.dumps({'type': kind, **more}, ensure_ascii=False)}\n\n"
