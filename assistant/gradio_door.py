"""A Gradio app with only the addresses that its page needs.

Gradio answers at some eighty addresses, many without asking for a login: uploads, a proxy, its
component server, editing by AI. A page of ours needs a dozen; the others are not there.
"""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGE = (
    r"/?|/(assets|static)/[\w./-]+|/theme\.css|/favicon\.ico|/manifest\.json|/config/?"
    r"|/gradio_api/(queue/(join|data)|cancel|reset|heartbeat/\w+|startup-events|info)/?"
)
_UPLOADS = r"|/gradio_api/(upload|upload_progress)"


class GradioDoor:
    """Lets the needed requests through to a mounted Gradio app; 404 for the rest."""

    def __init__(self, app: ASGIApp, functions: set[int], *, uploads: bool = False) -> None:
        self.app = app
        self._functions = functions
        self._needed = re.compile(_PAGE + (_UPLOADS if uploads else ""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not self._needed.fullmatch(path) or ".." in path:
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        elif path.rstrip("/") == "/gradio_api/queue/join":
            await self._join(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An event: checked here, since Gradio answers 500 to an unknown function index."""
        body = await Request(scope, receive).body()
        if not self._known(body):
            await PlainTextResponse("This is no event of the page.", 422)(scope, receive, send)
            return
        await self.app(scope, _replayed(body, receive), send)

    def _known(self, body: bytes) -> bool:
        try:
            event: Any = json.loads(body)
        except ValueError:
            return False
        return (
            isinstance(event, dict)
            and type(event.get("fn_index")) is int
            and event["fn_index"] in self._functions
            and isinstance(event.get("data"), list)
            and isinstance(event.get("session_hash"), str)
        )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """`receive` with the body that was read already as its first message."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed
