"""What stands before every page: security headers, a limit on bodies, no requests from elsewhere.

Plain ASGI, because a reply streams through here and must not be collected first.
"""

import gzip
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.api.errors import ApiError, error_response
from assistant.attaching import ATTACHMENT_BYTES

BODY_BYTES = 1 << 20
UPLOAD_BYTES = 64 << 20
WORTH_PACKING = 500
"""Bytes of a page from which it is packed: the chat page's 92 kB become 16."""
UPLOAD_PATH = "/admin/gradio_api/upload"
ATTACHMENT_PATH = "/files"
LIMITS = {UPLOAD_PATH: UPLOAD_BYTES, ATTACHMENT_PATH: ATTACHMENT_BYTES}

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# Gradio's pages need inline styles, but no eval as long as we use no gr.HTML and no js= handlers.
# img-src keeps a reply from sending what it knows to somebody else's server by an image address.
_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors {frames}"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SecurityHeaders:
    """Headers on every answer, and a fresh nonce on every script of an HTML page.

    With the nonce a script that comes out of a document or a reply does not run. Only pages of
    `framed_by` may show ours in a frame.
    """

    def __init__(self, app: ASGIApp, framed_by: str = "") -> None:
        self.app = app
        self._framed_by = framed_by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        packed = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        page = _Page(secrets.token_urlsafe(16), send, self._framed_by, packed)
        await self.app(_uncompressed_page(scope), receive, page.send)


def _uncompressed_page(scope: Scope) -> Scope:
    """The request without `Accept-Encoding` if it wants a page: nonces go into plain text, and
    it is packed after that."""
    if "text/html" not in Headers(scope=scope).get("accept", ""):
        return scope
    kept = [item for item in scope["headers"] if item[0] != b"accept-encoding"]
    return {**scope, "headers": kept}


class _Page:
    """One answer on its way out."""

    def __init__(self, nonce: str, send: Send, framed_by: str, packed: bool) -> None:
        self._nonce = nonce
        self._packed = packed
        self._policy = _POLICY.format(nonce=nonce, frames=framed_by or "'none'")
        self._framed = bool(framed_by)
        self._send = send
        self._held: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if "content-security-policy" not in headers:  # a page's own says who may frame it
                headers["Content-Security-Policy"] = self._policy
                if not self._framed:  # it knows no list of pages
                    headers.setdefault("X-Frame-Options", "DENY")
            if "etag" not in headers:  # a file of the program's has one and may be kept
                headers.setdefault("Cache-Control", "no-store")
            if headers.get("content-type", "").startswith("text/html"):
                headers["Cache-Control"] = "no-store"
                self._held = message
                return
        elif self._held is not None:
            await self._collect(message)
            return
        await self._send(message)

    async def _collect(self, message: Message) -> None:
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        assert self._held is not None
        tag = f'<script nonce="{self._nonce}"'.encode()
        body = re.sub(rb"<script\b", tag, self._body)
        headers = MutableHeaders(raw=self._held["headers"])
        headers.add_vary_header("Accept-Encoding")
        if self._packed and len(body) > WORTH_PACKING:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        if "content-length" in headers and self._body:
            headers["content-length"] = str(len(body))
        await self._send(self._held)
        await self._send({"type": "http.response.body", "body": body})


class BodyLimit:
    """413 for a body that is longer than any honest one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = LIMITS.get(scope["path"], BODY_BYTES)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            await _refuse(413, _too_large(limit), scope, receive, send)
            return
        await self.app(scope, _counted(receive, limit), send)


def _too_large(limit: int) -> str:
    return f"This is larger than {limit >> 20} MB: send something smaller, or fewer at once."


def _counted(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    """`receive`, raising when the body turns out longer than announced, or was not announced."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted


class SameOrigin:
    """403 for a changing request that another website's page sent.

    Browsers say where a request comes from: `Sec-Fetch-Site` on https and localhost, `Origin` on
    every POST. A program that sends neither has no cookies of somebody else to misuse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] not in _SAFE_METHODS
            and _foreign(Headers(scope=scope))
        ):
            await _refuse(403, "This request came from another website.", scope, receive, send)
            return
        await self.app(scope, receive, send)


def _foreign(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


async def _refuse(status: int, text: str, scope: Scope, *asgi: Any) -> None:
    api = scope["path"].startswith("/v1/")
    said = error_response(ApiError(status, text)) if api else PlainTextResponse(text, status)
    await said(scope, *asgi)
