"""A real server in this process, for tests that need one on a port."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from assistant.app import App
from assistant.callers import Proxies
from assistant.deadlines import server_config
from assistant.web import build_server


@contextmanager
def served(app: App) -> Iterator[str]:
    """The address of `app` while the block runs."""
    with on_a_port(build_server(app)) as url:
        yield url


@contextmanager
def on_a_port(server: Any, **more: Any) -> Iterator[str]:
    """The address of any ASGI application while the block runs; `more` is for `server_config`."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # a page asked for before the server is up waits instead of being refused
    proxies = more.pop("proxies", Proxies("127.0.0.1"))
    config = server_config(server, proxies, timeout_graceful_shutdown=1, **more)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(timeout=10)
