"""Who gets into the API: whoever sends a valid key, as often as that key may.

Nothing else proves anything here. A cookie is never read, so that no page can have a visitor's
browser speak for them.
"""

from contextlib import closing

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from assistant.api.errors import ApiError, as_api_error, error_response
from assistant.api.pace import Pace
from assistant.app import App
from storage import keys
from storage.errors import ApprenticeError
from storage.fences import refuse_moving
from storage.text import clean

OPEN = {"/openapi.json", "/docs"}
"""What is told to anybody: it is the same for everybody."""


class KeyRing:
    """Knows the keys of the house and how often each was used lately."""

    def __init__(self, house: App) -> None:
        self._house = house
        self._pace = Pace()

    def admit(self, authorization: str) -> keys.Key:
        """The key of an `Authorization` header. ApiError 401 without a valid one, 429 too soon."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ApiError(
                401, "There is no API key: send it as `Authorization: Bearer KEY`.", code="no_key"
            )
        with closing(self._house.db()) as db:
            key = keys.key_of(db, token.strip(), "api")
            if key is not None and key.workspace_id is not None:
                refuse_moving(db, key.workspace_id)
        if key is None:
            raise ApiError(
                401,
                "This API key is not valid: it may be revoked. `apprentice keys create NAME` "
                "makes another one.",
                code="invalid_api_key",
            )
        wait = self._pace.wait(key.id, key.per_minute)
        if wait:
            raise ApiError(
                429,
                f"This key may send {key.per_minute} requests a minute: try again in "
                f"{max(1, round(wait))} s.",
                code="rate_limit_exceeded",
                wait_s=wait,
            )
        return key


class KeyDoor:
    """Lets requests with a valid key through, with the key beside them."""

    def __init__(self, app: ASGIApp, ring: KeyRing) -> None:
        self.app = app
        self._ring = ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path in OPEN:
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("authorization", "")
        try:
            scope["key"] = await run_in_threadpool(self._ring.admit, sent)
        except (ApiError, ApprenticeError) as error:
            await error_response(as_api_error(error))(scope, receive, send)
            return
        await self.app(scope, receive, send)


def key_for(request: Request, scope: keys.Scope) -> keys.Key:
    """The caller's key, if it may do what `scope` says; else ApiError 403."""
    return allowed(request.scope["key"], scope)


def allowed(key: keys.Key, scope: keys.Scope) -> keys.Key:
    """The key, if it may do what `scope` says; else ApiError 403."""
    if scope not in key.scopes:
        raise ApiError(
            403,
            f"This key may not be used for {scope}: make one with `apprentice keys create NAME "
            f"--scope {scope}`.",
            code="missing_scope",
        )
    return key


def owner_of(key: keys.Key, user: str | None) -> str:
    """Who a conversation or a judgement belongs to: the key, and the user that it speaks for."""
    return f"api:{key.id}:{clean(user)}" if user else f"api:{key.id}"
