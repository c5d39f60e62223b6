"""Files that the admin page hands out, from addresses of their own.

Gradio's address for files is closed (`gradio_door`), so each thing that may be fetched has a route
here that asks who calls. Nothing lies ready on disk: it is made when it is fetched.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from assistant.plain_pages import nothing_here_page
from assistant.plot_sources import HOLD_WORDS, NAMES, Wanted, may_have, plot_of
from assistant.plots import FORMS, Form, as_file
from assistant.security import identify, may_administer
from storage.audit import audit
from storage.copies import record_copy
from storage.errors import ApprenticeError, NotFound
from storage.rounds import tuning_round
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

_BLOCK = 1 << 20


def bundle_address(round_id: int) -> str:
    """Where an admin fetches the bundle of a round."""
    return f"/admin/rounds/{round_id}/bundle.zip"


def backup_address(backup_id: int) -> str:
    """Where an admin fetches a backup that lies in the data directory."""
    return f"/admin/backups/{backup_id}.tar.gz"


def download_routes(app: "App") -> list[Route]:
    """The routes, to stand before the admin page's own."""

    async def bundle(request: Request) -> Response:
        return await run_in_threadpool(_bundle, app, request)

    async def backup(request: Request) -> Response:
        return await run_in_threadpool(_backup, app, request)

    async def plot(request: Request) -> Response:
        return await run_in_threadpool(_plot, app, request)

    return [
        Route("/admin/rounds/{id:int}/bundle.zip", bundle, methods=["GET"]),
        Route("/admin/backups/{id:int}.tar.gz", backup, methods=["GET"]),
        *(
            Route(f"/admin/plots/{name}.{form}", plot, methods=["GET"], name=f"{name}.{form}")
            for name in NAMES
            for form in FORMS
        ),
    ]


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


def _backup(app: "App", request: Request) -> Response:
    """One of the backups in the data directory; on record before a byte of it leaves."""
    from assistant.admin.backup_job import backups_here

    person = identify(request, app)
    if not may_administer(person):
        return nothing_here_page(person.name)
    backup_id = request.path_params["id"]
    with closing(app.db()) as db:
        here = {item.id: item for item in backups_here(app, db)}
        if backup_id not in here:
            return PlainTextResponse(f"There is no backup {backup_id} in the data directory.", 404)
        path = Path(here[backup_id].path)
        file = path.open("rb")
        place = f"{path.name}, downloaded by {person.name}"
        hash, actor = here[backup_id].hash, person.owner
        record_copy(db, kind="export", place=place, format="backup", hash=hash, actor=actor)
        audit(db, actor, "backup downloaded", f"backup:{backup_id}")
    return _attachment(file, path.name, "application/gzip")


def _plot(app: "App", request: Request) -> Response:
    """A plot of `?round=ID` or `?workspace=ID`, drawn now."""
    person = identify(request, app)
    file_name = request.url.path.rpartition("/")[2]
    name, _, ending = file_name.partition(".")
    form: Form = "svg" if ending == "svg" else "csv"
    if not may_have(person, name):
        return nothing_here_page(person.name)
    try:
        with closing(app.db()) as db:
            round_id, workspace_id = _number(request, "round"), _number(request, "workspace")
            if round_id is not None:
                workspace_id = tuning_round(db, round_id).workspace_id
            wanted = Wanted(app, db, workspace_by_id(db, workspace_id or 0))
            made = as_file(plot_of(wanted, name, round_id), form)
            if name in HOLD_WORDS:
                place = f"downloaded by {person.name}"
                record_copy(db, kind="export", place=place, format=file_name, actor=person.owner)
    except ApprenticeError as error:
        return PlainTextResponse(str(error), 404 if isinstance(error, NotFound) else 400)
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name}"',
        "Cache-Control": "no-store",
        "Content-Security-Policy": "sandbox",
    }
    return Response(made, media_type=FORMS[form], headers=headers)


def _number(request: Request, name: str) -> int | None:
    given = request.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None


def _attachment(file: IO[bytes], name: str, kind: str = "application/zip") -> Response:
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(size),
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_blocks(file), media_type=kind, headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
