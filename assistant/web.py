"""The web server of one data directory: plain pages, API, admin page, and last the chat page."""

import sqlite3
from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from assistant.admin.panel import build_admin
from assistant.api.door import KeyRing
from assistant.api.gradio_endpoint import add_endpoint
from assistant.api.server import build_api
from assistant.app import App
from assistant.avatar import avatar_routes
from assistant.callers import Proxies, caller_of
from assistant.chat_attachments import attachment_routes
from assistant.chat_export import export_routes
from assistant.chat_page import build_chat_page
from assistant.chat_words import browser_words
from assistant.doors import Doors
from assistant.downloads import download_routes
from assistant.embed import embed_routes
from assistant.gradio_door import CallerOf, GradioDoor
from assistant.guards import UPLOAD_BYTES, BodyLimit, SameOrigin, SecurityHeaders
from assistant.lean_sessions import LeanSessions
from assistant.login import login_routes
from assistant.measures import Measures, metrics_page
from assistant.oauth import oauth_routes
from assistant.observed import Observed
from assistant.security import identify, may_see, may_use
from assistant.space import FRAMED_BY, hub_login, in_space
from assistant.throttle import QUESTION_COSTS, Throttle
from storage.adapters import serving_adapter
from storage.errors import Moving
from storage.workspaces import list_workspaces

UI = Path(__file__).parent / "ui"
# links rather than Gradio's css=, which rewrites every selector
_STYLE = '<link rel="stylesheet" href="/ui/page.css"><link rel="stylesheet" href="/ui/{name}.css">'
_SCRIPT = '<script src="/ui/{name}.js" defer></script>'
_SCRIPTS = {"chat": ("chat_sources", "chat_connection", "chat", "attachments"), "admin": ("admin",)}


def build_server(app: App) -> FastAPI:
    """Everything under one address; `assistant.security` decides per request what it answers."""
    proxies = Proxies(app.settings.proxies)
    server = FastAPI(title="Apprentice", docs_url=None, redoc_url=None, openapi_url=None)
    # No origins. Without one of our own, Gradio adds one that lets any origin read with cookies.
    server.add_middleware(CORSMiddleware)
    server.add_middleware(Doors, house=app)
    server.add_middleware(SameOrigin)
    server.add_middleware(BodyLimit)
    server.add_middleware(Throttle, per_second=app.settings.requests_per_second, proxies=proxies)
    server.add_middleware(SecurityHeaders, framed_by=FRAMED_BY if in_space() else "")
    server.add_exception_handler(Moving, _try_again)
    measures = Measures(app)
    server.add_middleware(Observed, ended=measures.request_ended)
    hub = hub_login()
    logins = oauth_routes(app, hub) if hub else login_routes(app)
    pages = [*logins, *download_routes(app), *export_routes(app), *attachment_routes(app)]
    pages += [*avatar_routes(app), *embed_routes(app)]
    server.router.routes.extend(pages)
    server.add_route("/healthz", lambda request: _health(app, request))
    server.add_route("/favicon.ico", lambda request: FileResponse(UI / "icon.svg"))
    server.mount("/ui", GZipMiddleware(StaticFiles(directory=UI)))
    ring = KeyRing(app)
    server.add_route("/metrics", lambda request: metrics_page(app, ring, measures, request))
    server.mount("/v1", build_api(app, ring))
    caller = partial(caller_of, app, proxies)
    insider = partial(_insider, app)
    _mount(server, build_admin(app), "/admin", "admin", caller, insider)
    chat = build_chat_page(app)
    add_endpoint(app, ring, chat)
    pace = app.settings.requests_per_second / QUESTION_COSTS
    in_line = app.under_way.in_line
    _mount(server, chat, "/", "chat", caller, questions_per_second=pace, in_line=in_line)
    return server


def _mount(
    server: FastAPI,
    page: gr.Blocks,
    path: str,
    name: str,
    caller: CallerOf,
    insider: Any = None,
    **more: Any,
) -> None:
    gr.mount_gradio_app(
        server,
        page,
        path=path,
        auth_dependency=insider,
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        max_file_size=UPLOAD_BYTES,
        theme=_theme(),
        i18n=browser_words() if name == "chat" else None,
        head=_STYLE.format(name=name) + "".join(_SCRIPT.format(name=one) for one in _SCRIPTS[name]),
    )
    mounted = server.routes[-1]
    assert isinstance(mounted, Mount) and isinstance(mounted.app, gr.routes.App)
    mounted.app.state_holder = LeanSessions(page)
    uploads = name == "admin"
    mounted.app = GradioDoor(mounted.app, page, caller, uploads=uploads, **more)


def _theme() -> gr.Theme:
    """Calm and local: the reader's own fonts, so that nothing is fetched for them."""
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # white on teal 700 is 5.5:1, on the theme's own 500 only 2.5:1
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        # the theme's slate 400 on white is 2.6:1, this is 4.8:1
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )


def _try_again(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 503, {"Retry-After": "1"})


def _insider(app: App, request: Request) -> str | None:
    person = identify(request, app)
    return person.owner if may_see(person) else None


def _health(app: App, request: Request) -> Response:
    """Liveness, versions, and which adapter serves in the workspaces that the caller may use.

    503 while the server is being stopped, so that a balancer sends nobody any more.
    """
    person = identify(request, app)
    with closing(app.db()) as db:
        workspaces = {}
        for item in list_workspaces(db):
            if may_use(db, item, person):
                serving = serving_adapter(db, item.id)
                served_by = serving.id if serving else None
                workspaces[item.name] = {"adapter": served_by, **_replicas(app, served_by)}
    stopping = app.under_way.stopping
    return JSONResponse(
        {
            "status": "stopping" if stopping else "ok",
            "version": _version("apprentice-chat"),
            "gradio": _version("gradio"),
            "sqlite": sqlite3.sqlite_version,
            "ready": app.has("engine"),
            "workspaces": workspaces,
        },
        503 if stopping else 200,
    )


def _replicas(app: App, adapter_id: int | None) -> dict[str, Any]:
    """{} where one server answers, else how many of several have what serves."""
    counts = app.replicas_with(adapter_id)
    return {"replicas": asdict(counts)} if counts else {}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
