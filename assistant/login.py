"""Log in, log out, and the set-up of the first admin: plain forms, no script."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from assistant.callers import network_of
from assistant.plain_pages import login_page, logout_page, setup_closed_page, setup_page
from assistant.security import (
    SESSION_COOKIE,
    SESSION_SECONDS,
    close_session,
    create_first_admin,
    identify,
    log_in,
    session_cookie,
    setup_open,
)
from storage.audit import audit
from storage.errors import ApprenticeError
from storage.records import User

if TYPE_CHECKING:
    from assistant.app import App

FREE_TRIES = 5
LONGEST_WAIT_S = 900.0
ADDRESS_TRIES = 30
"""Wrong tries from one address, whatever the names, before it has to wait too."""
CHECKS_AT_ONCE = 2  # argon2 takes 64 MiB and some 60 ms a check


@dataclass
class _Failures:
    count: int
    until: float


class Attempts:
    """Wrong passwords, counted in memory: after five each try waits twice as long as the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, _Failures] = {}
        self._lock = threading.Lock()
        self.checking = threading.BoundedSemaphore(CHECKS_AT_ONCE)

    def wait(self, name: str, address: str) -> float:
        """Seconds until this name may be tried again from this address; 0 when now."""
        with self._lock:
            now = self._clock()
            known = (self._failures.get(key) for key in self._keys(name, address))
            return max((item.until - now for item in known if item), default=0.0)

    def failed(self, name: str, address: str) -> None:
        """Count a wrong password."""
        with self._lock:
            now = self._clock()
            if len(self._failures) > 10_000:
                self._forget(now)
            for key, free in self._keys(name, address).items():
                count = self._failures[key].count + 1 if key in self._failures else 1
                over = count - free
                wait = min(LONGEST_WAIT_S, 2.0 ** min(over, 20)) if over >= 0 else 0.0
                self._failures[key] = _Failures(count, now + wait)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name from this address."""
        with self._lock:
            # not the address's: a login of one's own must not buy more tries at another name
            self._failures.pop(next(iter(self._keys(name, address))), None)

    def _forget(self, now: float) -> None:
        self._failures = {
            key: item for key, item in self._failures.items() if item.until > now - LONGEST_WAIT_S
        }

    def _keys(self, name: str, address: str) -> dict[str, int]:
        """What is counted, each with the tries that cost nothing."""
        return {f"{address}\n{name.strip().casefold()}": FREE_TRIES, address: ADDRESS_TRIES}


def login_routes(app: "App") -> list[Route]:
    """The routes `/login`, `/logout` and `/setup`, where people log in by a password."""
    pages = _LoginPages(app, Attempts())
    return [
        Route("/login", pages.show_login, methods=["GET"]),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/setup", pages.show_setup, methods=["GET"]),
        Route("/setup", pages.set_up, methods=["POST"]),
        *logout_routes(app),
    ]


def logout_routes(app: "App") -> list[Route]:
    """The route `/logout`, however one logs in."""

    def show_logout(request: Request) -> Response:
        person = identify(request, app)
        return (
            logout_page(person.name) if person.kind == "user" else RedirectResponse("/login", 303)
        )

    def log_out(request: Request) -> Response:
        with closing(app.db()) as db:
            close_session(app, db, request)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
        return answer

    return [
        Route("/logout", show_logout, methods=["GET"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


class _LoginPages:
    """The handlers, with what they count."""

    def __init__(self, app: "App", attempts: Attempts) -> None:
        self._app = app
        self._attempts = attempts

    def show_login(self, request: Request) -> Response:
        next_path = local_path(request.query_params.get("next", ""))
        person = identify(request, self._app)
        if person.kind == "user":
            return RedirectResponse(next_path or "/", 303)
        return login_page(next_path)

    async def log_in(self, request: Request) -> Response:
        return await run_in_threadpool(self._log_in, request, await _form(request))

    def _log_in(self, request: Request, form: dict[str, str]) -> Response:
        name, next_path = form.get("name", ""), local_path(form.get("next", ""))
        address = network_of(request.client.host) if request.client else ""
        wait = self._attempts.wait(name, address)
        if wait > 0:
            error = f"Too many wrong passwords. Try again in {int(wait) + 1} seconds."
            page = login_page(next_path, name=name, error=error, status=429)
            page.headers["Retry-After"] = str(int(wait) + 1)
            return page
        with closing(self._app.db()) as db:
            with self._attempts.checking:
                user = log_in(db, name, form.get("password", ""))
            if user is None:
                self._attempts.failed(name, address)
                return login_page(next_path, name=name, error="Wrong name or password.", status=401)
            audit(db, f"user:{user.id}", "logged in", f"user:{user.id}")
        self._attempts.succeeded(name, address)
        return open_session(self._app, request, user, next_path or "/")

    def show_setup(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        return setup_page(token) if setup_open(self._app, token) else setup_closed_page()

    async def set_up(self, request: Request) -> Response:
        return await run_in_threadpool(self._set_up, request, await _form(request))

    def _set_up(self, request: Request, form: dict[str, str]) -> Response:
        token, name = form.get("token", ""), form.get("name", "")
        if not setup_open(self._app, token):
            return setup_closed_page()
        if form.get("password") != form.get("again"):
            return setup_page(token, name=name, error="The two passwords differ.", status=422)
        with closing(self._app.db()) as db:
            try:
                user = create_first_admin(db, name, form.get("password", ""))
            except ApprenticeError as error:
                return setup_page(token, name=name, error=str(error), status=422)
        return open_session(self._app, request, user, "/admin")


def open_session(
    app: "App",
    request: Request,
    user: User,
    next_path: str,
    *,
    samesite: Literal["strict", "lax"] = "strict",
) -> Response:
    """Send somebody who has just logged in to `next_path`, with the cookie of a new session.

    The one that the browser came with ends: somebody else may have put it there.
    """
    answer = RedirectResponse(next_path, 303)
    with closing(app.db()) as db:
        close_session(app, db, request)
        value = session_cookie(app, db, user)
    answer.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite=samesite,
        secure=request.url.scheme == "https",
    )
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded form, each once."""
    text = (await request.body()).decode(errors="replace")
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def local_path(path: str) -> str:
    """`path` if it is an address of this server, else nothing: no redirect leads elsewhere."""
    ours = path.startswith("/") and not path.startswith("//") and path.isprintable()
    return path if ours and "\\" not in path else ""
