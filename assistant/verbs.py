"""Every verb by the words a person types, and where it runs: here or in the server.

A verb is a generator of events. An event with the key `progress` (0.0 to 1.0 or None) reports how
far the work is, `warning` is a sentence beside the result, `delta` a piece of text as it is made;
any other event is a result. The generator's return value is the exit code (None: 0).

Exactly one process may use Chroma and the model of a data directory. A verb that needs them runs
in the server when one is there, by the control socket; else this process takes the lock itself.
"""

import importlib
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from assistant.app import App, Progress, open_app
from assistant.settings import Settings
from storage.datadir import DataDir, DataDirBusy, open_datadir
from storage.jobs import mark_dead

Event = dict[str, Any]
Events = Generator[Event, None, int | None]

LOCK_WAIT_S = 5.0
"""How long a command waits for another one, or for a server that is starting, to let it in."""


@dataclass(frozen=True)
class Verb:
    """Where a verb's function is and what it needs."""

    function: str
    """`module:function` under `assistant.commands`."""
    owns: bool = False
    """It uses Chroma or the model, so it runs in the process that owns the data directory."""
    outlives: bool = False
    """In a server its work goes on when the caller leaves; the function takes `detached`."""


VERBS: dict[str, Verb] = {
    "workspaces list": Verb("workspaces:list_all"),
    "workspaces show": Verb("workspaces:show"),
    "workspaces create": Verb("workspaces:create"),
    "workspaces set": Verb("workspaces:set_values"),
    "workspaces delete": Verb("workspaces:delete", owns=True),
    "users list": Verb("users:list_all"),
    "users create": Verb("users:create"),
    "users set": Verb("users:set_values"),
    "users delete": Verb("users:delete"),
    "keys create": Verb("keys:create"),
    "keys list": Verb("keys:list_all"),
    "keys revoke": Verb("keys:revoke"),
    "ingest": Verb("documents:ingest", owns=True),
    "documents list": Verb("documents:list_all"),
    "documents show": Verb("documents:show"),
    "documents remove": Verb("documents:remove", owns=True),
    "documents reindex": Verb("documents:reindex", owns=True),
    "search": Verb("documents:search", owns=True),
    "ask": Verb("ask:ask", owns=True),
    "feedback import": Verb("feedback_import:import_file", owns=True),
    "feedback list": Verb("feedback:list_some"),
    "feedback show": Verb("feedback:show", owns=True),
    "feedback approve": Verb("feedback:approve", owns=True),
    "feedback set": Verb("feedback:set_reasons"),
    "feedback stale": Verb("feedback:stale"),
    "feedback gaps": Verb("gaps:list_topics", owns=True),
    "feedback keep": Verb("feedback:keep"),
    "feedback reject": Verb("feedback:reject"),
    "feedback retract": Verb("feedback:retract_yes"),
    "feedback sites": Verb("feedback:list_sites"),
    "feedback verdicts": Verb("site_exchange:take_verdicts", owns=True),
    "feedback unmask": Verb("masks:unmask"),
    "feedback paraphrase": Verb("paraphrases:paraphrase"),
    "feedback paraphrases": Verb("paraphrases:list_all"),
    "feedback export": Verb("feedback:export"),
    "style import": Verb("style:import_writing", owns=True),
    "overrides list": Verb("overrides:list_all"),
    "overrides retire": Verb("overrides:retire"),
    "tune": Verb("tune:tune", owns=True, outlives=True),
    "rounds list": Verb("rounds:list_all"),
    "rounds show": Verb("rounds:show"),
    "rounds cancel": Verb("rounds:cancel"),
    "rounds resume": Verb("rounds:resume", owns=True, outlives=True),
    "rounds export": Verb("rounds:export"),
    "rounds import": Verb("rounds:import_out", owns=True, outlives=True),
    "rounds blame": Verb("rounds:blame", owns=True, outlives=True),
    "adapters list": Verb("adapters:list_all"),
    "adapters show": Verb("adapters:show"),
    "adapters compare": Verb("adapters:compare"),
    "adapters promote": Verb("adapters:promote"),
    "adapters rollback": Verb("adapters:rollback"),
    "adapters sign": Verb("adapters:sign"),
    "adapters delete": Verb("adapters:delete"),
    "adapters export": Verb("adapters:export"),
    "adapters import": Verb("adapters:import_folder"),
    "adapters push": Verb("adapters:push"),
    "conversations list": Verb("conversations:list_some"),
    "conversations show": Verb("conversations:show"),
    "conversations rename": Verb("conversations:rename"),
    "conversations choose": Verb("conversations:choose"),
    "jobs list": Verb("jobs:list_some"),
    "jobs cancel": Verb("jobs:cancel"),
    "rebase": Verb("rebase:rebase", owns=True, outlives=True),
    "evaluate": Verb("evaluate:evaluate", owns=True),
    "lineage": Verb("adapters:lineage"),
    "erase": Verb("erase:erase_it", owns=True, outlives=True),
    "overview": Verb("overview:show"),
    "plot": Verb("plot:draw", owns=True),
    "audit list": Verb("audit:list_some"),
    "audit verify": Verb("audit:verify"),
    "backup": Verb("backup:backup"),
    "doctor index": Verb("doctor:index", owns=True),
}

ENDS: dict[str, Verb] = {
    "cells ready": Verb("cell_ends:ready", owns=True),
    "cells give": Verb("cell_ends:give", owns=True),
    "cells take": Verb("cell_ends:take", owns=True),
    "cells hold": Verb("cell_ends:hold", owns=True),
    "cells forget": Verb("cell_ends:forget", owns=True),
}
"""What `cells move` has done at each end; nobody types these."""


def verb_called(name: str) -> Verb | None:
    """The verb, whether it is typed or not; None for an unknown one."""
    return VERBS.get(name) or ENDS.get(name)


def run_here(app: App, name: str, arguments: dict[str, Any]) -> Events:
    """Run a verb on `app` in this process."""
    module, function = _known(name).function.split(":")
    work = getattr(importlib.import_module(f"assistant.commands.{module}"), function)
    events: Events = work(app, **arguments)
    return events


def run(
    settings: Settings, name: str, arguments: dict[str, Any], progress: Progress | None = None
) -> Events:
    """Run a verb where it belongs. `arguments` must be JSON values with absolute paths.

    Raises DataDirBusy when another process that is no server keeps the data directory.
    """
    datadir = open_datadir(settings.data)
    if not _known(name).owns:
        return (yield from run_here(App(settings, datadir), name, arguments))
    with ExitStack() as stack:
        app = _own_or_none(settings, datadir, stack, progress)
        if app is not None:
            return (yield from run_here(app, name, arguments))
        from assistant.control import call_server

        return (yield from call_server(datadir, name, arguments))


def _known(name: str) -> Verb:
    verb = verb_called(name)
    assert verb is not None, name
    return verb


def _own_or_none(
    settings: Settings, datadir: DataDir, stack: ExitStack, progress: Progress | None
) -> App | None:
    """The app with the lock held, or None when a server answers on the socket."""
    from assistant.control import server_answers

    give_up = time.monotonic() + LOCK_WAIT_S
    while not server_answers(datadir):
        try:
            app = stack.enter_context(open_app(settings, progress=progress))
        except DataDirBusy:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)
            continue
        mark_dead(app.db())  # whoever held the lock before is gone, and its rounds with it
        return app
    return None
