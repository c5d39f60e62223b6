"""How a command reaches the server that owns its data directory: a Unix socket in that directory.

One route, `POST /call` with `{"verb", "arguments"}`; the answer is JSON lines: `{"event": ...}` for
each event of the verb, then one `{"done": exit code}` or `{"failed": {"kind", "text"}}`. The socket
is mode 0600 in a 0700 folder, so only the account that runs the server can speak to it. When the
caller leaves, its verb is closed at the next event; a round goes on (`Verb.outlives`).
"""

import asyncio
import json
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.verbs import Events, run_here, verb_called
from storage.datadir import DataDir
from storage.errors import ApprenticeError, BadInput, NotFound, Refused

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from assistant.app import App

log = logging.getLogger(__name__)

UNIX_PATH_MAX = 100
"""Bytes of a socket's path at most; the kernel's limit is 108 with the final zero."""
AHEAD = 256
"""Events a verb may be ahead of its reader before it waits."""
KINDS = {kind.__name__: kind for kind in (ApprenticeError, BadInput, NotFound, Refused)}


class ServerFailed(ApprenticeError):
    """The server had an error of its own, or ended before it had answered."""


# ---- the server's side


@contextmanager
def control_socket(app: "App") -> Iterator[None]:
    """Answer commands on `app.datadir.socket` until the block ends, in a thread of its own."""
    import uvicorn

    with _short_path(app.datadir.socket) as path:
        listener = _listen(path)
        config = uvicorn.Config(
            build_control(app), log_config=None, lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="control", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=5)
            listener.close()
            app.datadir.socket.unlink(missing_ok=True)


def build_control(app: "App") -> "Starlette":
    """The one-route web application behind the socket."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def call(request: "Request") -> "Response":
        asked = await request.json()
        running = _Running(app, asked["verb"], asked["arguments"])
        return StreamingResponse(running.lines(), media_type="application/x-ndjson")

    return Starlette(routes=[Route("/call", call, methods=["POST"])])


class _Running:
    """One verb at work in a thread, its lines handed to the event loop."""

    def __init__(self, app: "App", verb: str, arguments: dict[str, Any]) -> None:
        self._app = app
        self._verb = verb
        self._arguments = arguments
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._left = threading.Event()
        self._loop = asyncio.get_running_loop()

    async def lines(self) -> AsyncIterator[bytes]:
        """What goes over the wire; ending this early tells the verb that its caller left."""
        threading.Thread(target=self._work, name=f"call {self._verb}", daemon=True).start()
        try:
            while True:
                line = await self._lines.get()
                self._room.release()
                yield json.dumps(line, default=str).encode() + b"\n"
                if "event" not in line:
                    return
        finally:
            self._left.set()
            self._room.release()

    def _work(self) -> None:
        try:
            self._send({"done": self._run_verb()})
        except ApprenticeError as error:
            self._send({"failed": {"kind": _kind(error), "text": str(error)}})
        except Exception as error:
            log.exception("the verb %r failed", self._verb)
            text = f"The server failed at {self._verb!r}: {error!r}; its log has the details."
            self._send({"failed": {"kind": "ServerFailed", "text": text}})

    def _run_verb(self) -> int:
        events = self._start()
        try:
            while not self._left.is_set():
                self._send({"event": next(events)})
        except StopIteration as end:
            return int(end.value or 0)
        finally:
            events.close()
        return 0

    def _start(self) -> Events:
        verb = verb_called(self._verb)
        if verb is None:
            raise Refused(
                f"The running server does not know the verb {self._verb!r}; it is another version: "
                "restart it."
            )
        detached = {"detached": True} if verb.outlives else {}
        return run_here(self._app, self._verb, {**self._arguments, **detached})

    def _send(self, line: dict[str, Any]) -> None:
        while not self._room.acquire(timeout=1):
            if self._left.is_set():
                return
        if not self._left.is_set():
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # We hold the directory's lock, so a socket file left here belongs to a dead server.
    Path(path).unlink(missing_ok=True)
    listener.bind(path)
    os.chmod(path, 0o600)  # before `listen`: until then nobody can connect
    listener.listen(64)
    return listener


def _kind(error: ApprenticeError) -> str:
    """The nearest class that the other side knows too."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KINDS)


# ---- the caller's side


def server_answers(datadir: DataDir) -> bool:
    """Whether a server listens on the data directory's socket."""
    if not datadir.socket.exists():
        return False
    with _short_path(datadir.socket) as path, socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def call_server(datadir: DataDir, name: str, arguments: dict[str, Any]) -> Events:
    """Run a verb in the server: yields its events, returns its exit code.

    Raises the verb's own error, or ServerFailed when the server ends before it has answered.
    """
    import httpx

    gone = "The server stopped before it had answered; look at its log and try again."
    with _short_path(datadir.socket) as path:
        transport = httpx.HTTPTransport(uds=path)
        with httpx.Client(transport=transport, base_url="http://apprentice", timeout=None) as http:  # noqa: S113
            try:
                # ASCII JSON, because it also carries file names that are not valid UTF-8
                body = json.dumps({"verb": name, "arguments": arguments})
                with http.stream("POST", "/call", content=body) as answer:
                    for line in answer.iter_lines():
                        said = json.loads(line)
                        if "event" not in said:
                            return _end(said)
                        yield said["event"]
            except httpx.TransportError:
                raise ServerFailed(gone) from None
    raise ServerFailed(gone)


def _end(said: dict[str, Any]) -> int:
    if "failed" in said:
        raise KINDS.get(said["failed"]["kind"], ServerFailed)(said["failed"]["text"])
    return int(said["done"])


@contextmanager
def _short_path(path: Path) -> Iterator[str]:
    """A name for the socket that fits the kernel's limit, however deep the data directory lies."""
    if len(os.fsencode(path)) <= UNIX_PATH_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
