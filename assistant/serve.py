"""`apprentice serve`: the one process that owns a data directory and answers from it.

The page is up first; model, embedder and index are opened in the background, so that nobody waits
for an empty page. Commands reach this process by the control socket.
"""

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from queue import Empty, SimpleQueue

from assistant.app import App, open_app
from assistant.callers import Proxies
from assistant.control import control_socket
from assistant.crawl_schedule import start_crawls
from assistant.fleet import as_cell, settle
from assistant.logs import set_up_logs
from assistant.proving import last_good
from assistant.refilling import fill_index, refill_lost
from assistant.resumption import resume_killed
from assistant.schedule import Refusals, start_due
from assistant.settings import Settings
from assistant.snapshots import kept, restore_newest
from assistant.space import hub_login
from assistant.writer import sweep_writers
from storage.adapters import serving_adapter
from storage.conversations import mark_interrupted
from storage.datadir import DataDir
from storage.errors import ApprenticeError, BadInput
from storage.feedback_seals import broken_seals
from storage.jobs import mark_dead
from storage.soundness import refuse_damaged
from storage.users import list_users
from storage.workspaces import DEFAULT, list_workspaces, set_workspace

log = logging.getLogger(__name__)

TICK_S = 5.0
"""How often the server looks whether a workspace is due for a round or a walk."""
DRAIN_S = 3.0
"""Seconds that replies get to end after a stop was asked for; then they are cut off and saved."""
GRACE_S = 2
"""Seconds that open connections get to end after that."""
STOP_S = 8.0
"""Seconds from a signal to the end of the process, whatever still runs."""
SNAPSHOT_S = 17.0
"""And so many more where a last snapshot is made: a Space is killed some 30 seconds after the
signal."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; returns 0.

    Raises DataDirBusy when the directory is served already, DatabaseDamaged when its database is
    not sound, BadInput when the port is taken, a proxy is no address or a file of one's own base
    model is cut, NotFound for an unknown cell, HubFailed or Refused when an empty directory cannot
    be filled from its snapshots.
    """
    set_up_logs(settings)
    Proxies(settings.proxies)
    if settings.cell:
        settings = as_cell(settings)
        settle(settings)
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stops.put(number))
    if settings.snapshots:
        restore_newest(settings.snapshots, settings.data)
    refuse_damaged(DataDir(settings.data.expanduser().absolute()))
    with open_app(settings, progress=_log_progress) as app, _listener(settings) as listener:
        app.check_base()
        _tidy(app)
        with kept(app), control_socket(app), _web(app, listener):
            threading.Thread(target=_load, args=(app,), name="load", daemon=True).start()
            _greet(app, listener)
            refused: Refusals = {}
            while not _stopped(stops):
                settle(settings)
                resume_killed(app)
                start_due(app, refused)
                start_crawls(app)
                refill_lost(app)
            # A request that the stop cuts off is no fault to report with a traceback.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            # Whatever still runs then (a long generation) ends with us; SQLite outlives that.
            left = STOP_S + (SNAPSHOT_S if settings.snapshots else 0)
            end = threading.Timer(left, os._exit, args=(0,))
            end.daemon = True
            end.start()
            cut = app.under_way.drain(DRAIN_S)
            log.info("the server stops; %d replies were cut off and saved", cut)
    return 0


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """The bound socket, taken before anything heavy so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        why = (error.strerror or str(error)).lower()
        raise BadInput(
            f"Cannot listen on {settings.host} port {settings.port} ({why}): "
            "name another one with --host and --port."
        ) from None
    try:
        yield listener
    finally:
        listener.close()


def _tidy(app: App) -> None:
    """What the last server left unfinished is marked so: we own the directory, it is gone."""
    with closing(app.db()) as db:
        if app.settings.access:
            set_workspace(db, DEFAULT, "access", app.settings.access)
        for job in mark_dead(db):
            log.warning(
                "the %s with job %d was running when the last server died", job.kind, job.id
            )
        interrupted = mark_interrupted(db)
    sweep_writers(app.datadir.rounds)
    if interrupted:
        log.warning("%d replies were interrupted when the last server died", interrupted)


@contextmanager
def _web(app: App, listener: socket.socket) -> Iterator[None]:
    """The pages, served by a thread of their own from when the block begins until it ends."""
    import uvicorn

    from assistant.deadlines import server_config
    from assistant.web import build_server

    proxies = Proxies(app.settings.proxies)
    config = server_config(build_server(app), proxies, timeout_graceful_shutdown=GRACE_S)
    keep_for_good()
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
    )
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(timeout=0.05)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=GRACE_S + 1)


def keep_for_good() -> None:
    """What has been imported and built until now is never garbage: Python need not look through it
    again. With 500 readers that was a seventh of a question's processor time (34 ms, 29 with this).

    To be called before any model is loaded, whose memory must come back.
    """
    gc.collect()
    gc.freeze()


def _greet(app: App, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"Apprentice is at {url}, the admin page at {url}/admin", flush=True)
    with closing(app.db()) as db:
        first_start = not list_users(db) and hub_login() is None
    if first_start:
        from assistant.security import setup_link

        print(f"There is no user yet: make the first admin at {setup_link(app, url)}", flush=True)


def _load(app: App) -> None:
    """Open what answers need, most wanted first; what fails is told here, and to who asks."""
    _finish_erasures(app)
    with closing(app.db()) as db:
        serving = [serving_adapter(db, item.id) for item in list_workspaces(db)]
        try:
            log.info("the engine %s is ready with %s", app.engine.name, app.base.name)
            for adapter in filter(None, serving):
                _load_adapter(app, adapter.id)
            fill_index(app)
            log.info("the search index is ready")
        except ApprenticeError as error:
            log.error("%s", error)
        if altered := broken_seals(db):
            shown = ", ".join(map(str, altered[:20]))
            log.error("%d rows of feedback do not say what was written: %s", len(altered), shown)


def _finish_erasures(app: App) -> None:
    """What was to be erased when the last server died: before anything of it is shown again."""
    from assistant.erasure import finish_unfinished

    try:
        for known in finish_unfinished(app):
            log.warning("erasure %d had been cut off and is finished now", known.id)
    except ApprenticeError as error:
        log.error("an erasure is not finished: %s", error)


def _load_adapter(app: App, adapter_id: int) -> None:
    try:
        app.load_adapter(adapter_id)
    except ApprenticeError as error:
        log.error("adapter %d does not serve: %s", adapter_id, error)
        last_good(app, adapter_id, error)


def _stopped(stops: "SimpleQueue[int]") -> bool:
    try:
        stops.get(timeout=TICK_S)
    except Empty:
        return False
    return True


def _log_progress(part: float | None, note: str) -> None:
    log.info("%s%s", "" if part is None else f"{part:.0%} ", note)
