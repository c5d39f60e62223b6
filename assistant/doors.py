"""Who gets to which of the two Gradio pages at all; decided before Gradio sees the request."""

from contextlib import closing

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.app import App
from assistant.guards import UPLOAD_PATH
from assistant.plain_pages import nothing_here_page
from assistant.security import (
    VISITOR_COOKIE,
    VISITOR_SECONDS,
    Person,
    identify,
    may_administer,
    may_see,
    usable_workspace,
    visitor_cookie,
)
from assistant.space import in_space
from storage.errors import Moving


class Doors:
    """The chat page for who may use its workspace, the admin page for who may see it."""

    def __init__(self, app: ASGIApp, house: App) -> None:
        self.app = app
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == "/" or f"{path}/".startswith("/admin/")):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        person = await run_in_threadpool(identify, request, self._house)
        decide = self._chat if path == "/" else self._admin
        refusal = await run_in_threadpool(decide, request, person)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        newcomer = path == "/" and person.kind == "anonymous"
        await self.app(scope, receive, self._welcome(request, send) if newcomer else send)

    def _admin(self, request: Request, person: Person) -> Response | None:
        """Nothing under /admin without a role for it; files are taken from admins alone."""
        if request.url.path.rstrip("/") == UPLOAD_PATH and not may_administer(person):
            return JSONResponse({"error": "Log in as an admin."}, 401)
        if may_see(person):
            # the mounted page begins behind the slash; a whole address would repeat any `Host`
            query = f"?{request.url.query}" if request.url.query else ""
            bare = request.url.path == "/admin"
            return RedirectResponse(f"/admin/{query}", 307) if bare else None
        if request.method in ("GET", "HEAD") and request.url.path in ("/admin", "/admin/"):
            if person.kind == "user":
                return nothing_here_page(person.name)
            return RedirectResponse("/login?next=/admin", 303)
        return JSONResponse({"error": "Log in as an admin, a reviewer or a viewer."}, 401)

    def _chat(self, request: Request, person: Person) -> Response | None:
        """The page is there only for a workspace that this person may use."""
        asked = request.query_params.get("workspace")
        with closing(self._house.db()) as db:
            try:
                found = usable_workspace(db, asked, person)
            except Moving as error:
                return PlainTextResponse(str(error), 503, {"Retry-After": "1"})
        if found is None and asked is None and may_see(person):  # who chats nowhere still looks
            return RedirectResponse("/admin/", 303)
        return None if found else nothing_here_page(person.name)

    def _welcome(self, request: Request, send: Send) -> Send:
        """`send`, which gives a new visitor the cookie that its conversations belong to."""
        framed = in_space()
        cookie = Response()
        cookie.set_cookie(
            VISITOR_COOKIE,
            visitor_cookie(self._house),
            max_age=VISITOR_SECONDS,
            httponly=True,
            samesite="none" if framed else "lax",
            secure=framed or request.url.scheme == "https",
        )
        # in the frame on the Hub's page browsers keep it only for that page
        header = cookie.headers["set-cookie"] + ("; Partitioned" if framed else "")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.append("set-cookie", header)
            await send(message)

        return sent
