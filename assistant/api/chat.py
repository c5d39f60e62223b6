"""`POST /v1/chat/completions`: a question answered by the same path as everywhere."""

import json
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from assistant.api.answers import Answers
from assistant.api.door import key_for, owner_of
from assistant.api.errors import ApiError, as_api_error, error_body
from assistant.api.models import chosen_model
from assistant.api.requests import ChatRequest
from assistant.app import App
from assistant.commands.ask import reply_to
from assistant.decoding import Wish, check_wish
from assistant.readers import Readers
from assistant.reply import Delta, Done, ReplyEvent, ReplyOptions
from storage.conversations import new_id
from storage.errors import ApprenticeError, NotFound
from storage.keys import Key

log = logging.getLogger(__name__)

LEAST_TOP_P = 0.01
SEEDS = 2**31
"""Any whole number is a seed to OpenAI; here it is that number modulo this."""


def chat_routes(app: App) -> APIRouter:
    """The route, to be included."""
    routes, chat = APIRouter(), _Chat(app)

    @routes.post("/chat/completions", summary="Answer a question")
    async def create(request: Request, asked: ChatRequest) -> Response:
        """Answers like OpenAI's: one JSON document, or with `stream` chunks as server-sent events.

        The field `apprentice` has sources, override, adapter and notices, in a stream on the last
        chunk. `id` is what `/v1/feedback` takes.
        """
        return await chat.answer(request, asked)

    return routes


class _Chat:
    """Replies on their way to clients."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._readers = Readers()

    async def answer(self, request: Request, asked: ChatRequest) -> Response:
        key = key_for(request, "chat")
        asked.refuse_unsupported()
        shapes = Answers(self._app, asked.model, new_id())
        events = self._events(request, key, asked, shapes.message_id)
        if not asked.stream:
            async with aclosing(events):
                done = [event async for event in events if isinstance(event, Done)][-1]
            return JSONResponse(await to_thread.run_sync(shapes.whole, done))
        first = await anext(events)  # what is refused, is refused before the stream begins
        return StreamingResponse(
            self._stream(shapes, first, events, asked),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _events(
        self, request: Request, key: Key, asked: ChatRequest, reply_id: str
    ) -> AsyncGenerator[ReplyEvent, None]:
        """The reply's events; the client's leaving stops the engine, whatever it is doing."""
        if self._readers.full():
            raise ApiError(503, "Too many answers are being made: try again.", wait_s=1)
        events = self._readers.follow(
            request,
            lambda left: reply_events(self._app, key, asked, reply_id, left),
            threading.Event(),
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Done) and event.message.finish_reason == "interrupted":
                    raise ApiError(503, "The answer was interrupted: ask again.", wait_s=1)
                yield event

    async def _stream(
        self,
        shapes: Answers,
        event: ReplyEvent | None,
        events: AsyncGenerator[ReplyEvent, None],
        asked: ChatRequest,
    ) -> AsyncIterator[str]:
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        null = {"usage": None} if usage else {}
        async with aclosing(events):
            try:
                yield _sse({**shapes.piece(role="assistant", content=""), **null})
                while event is not None:
                    if isinstance(event, Delta):
                        yield _sse({**shapes.piece(content=event.text), **null})
                    else:
                        last = await to_thread.run_sync(shapes.last, event)
                        yield _sse({**last, **null})
                        if usage:
                            yield _sse(shapes.usage(event))
                    event = await anext(events, None)
                yield "data: [DONE]\n\n"
            except (ApprenticeError, ApiError) as error:
                yield _sse(error_body(as_api_error(error)))
            except Exception as error:
                log.exception("the reply failed")
                yield _sse(error_body(as_api_error(error)))


def reply_events(
    app: App, key: Key, asked: ChatRequest, reply_id: str, left: threading.Event
) -> Iterator[ReplyEvent]:
    """The reply to a client's question, as `reply` makes it.

    Raises ApiError for a model that is not the key's, and what `reply` raises.
    """
    with closing(app.db()) as db:
        try:
            workspace, adapter = chosen_model(db, key, asked.model)
        except NotFound as error:
            raise ApiError(404, str(error), code="model_not_found", param="model") from None
    top_p = None if asked.top_p is None else max(LEAST_TOP_P, asked.top_p)
    seed = None if asked.seed is None else asked.seed % SEEDS
    wish = Wish(asked.temperature, top_p, seed, asked.stops)
    check_wish(workspace, wish)
    most = workspace.settings.max_tokens
    options = ReplyOptions(
        adapter=adapter,
        max_tokens=min(asked.most_tokens or most, most),
        wish=wish,
        reply_id=reply_id,
    )
    joined = (asked.metadata or {}).get("conversation_id")
    return reply_to(
        *(app, workspace, asked.turns, options, owner_of(key, asked.user), left),
        joined=str(joined) if joined else None,
    )


def _sse(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
