"""Files that the admin page hands out, from addresses of their own.

Gradio's address for files is closed (`gradio_door`), so each thing that may be fetched has a route
here that asks who calls. Nothing lies ready on disk: it is made when it is fetched.
"""

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from assistant.plain_pages import nothing_here_page
from assistant.security import identify, may_administer
from storage.errors import ApprenticeError, NotFound

if TYPE_CHECKING:
    from assistant.app import App

_BLOCK = 1 << 20


def bundle_address(round_id: int) -> str:
    """Where an admin fetches the bundle of a round."""
    return f"/admin/rounds/{round_id}/bundle.zip"


def download_routes(app: "App") -> list[Route]:
    """The routes, to stand before the admin page's own."""

    async def bundle(request: Request) -> Response:
        return await run_in_threadpool(_bundle, app, request)

    return [Route("/admin/rounds/{id:int}/bundle.zip", bundle, methods=["GET"])]


def _bundle(app: "App", request: Request) -> Response:
    from assistant.round_export import zipped_bundle

    person = identify(request, app)
    if not may_administer(person):
        return nothing_here_page(person.name)
    round_id = request.path_params["id"]
    try:
        file = zipped_bundle(
            app, round_id, place=f"downloaded by {person.name}", actor=person.owner
        )
    except ApprenticeError as error:
        return PlainTextResponse(str(error), 404 if isinstance(error, NotFound) else 409)
    return _attachment(file, f"bundle-{round_id}.zip")


def _attachment(file: IO[bytes], name: str) -> Response:
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(size),
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_blocks(file), media_type="application/zip", headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
