"""`apprentice serve`: the one process that owns a data directory and answers from it.

The page is up first; model, embedder and index are opened in the background, so that nobody waits
ten seconds for an empty page. Commands reach this process by the control socket.
"""

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from assistant.app import App, open_app
from assistant.control import control_socket
from assistant.settings import Settings
from storage.adapters import serving_adapter
from storage.conversations import mark_interrupted
from storage.errors import ApprenticeError, BadInput
from storage.jobs import mark_dead
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

TICK_S = 5.0
"""How often the server looks whether a workspace is due for a round."""
GRACE_S = 3
"""Seconds that open connections get to end after a stop was asked for."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0.

    Raises DataDirBusy when the directory is served already, BadInput when the port is taken.
    """
    _log_to_stderr()
    with _listening(settings) as listener, open_app(settings) as app:
        _tidy(app)
        with control_socket(app), _background(app) as stop:
            server = _web_server(app)
            _on_start(app, server, listener)
            _stop_on_signal(server, stop)
            server.run(sockets=[listener])
    return 0
