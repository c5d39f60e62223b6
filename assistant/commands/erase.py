"""`apprentice erase`: forget a judgement, a conversation or a person, and certify it."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any, TypeVar

from assistant.app import App
from assistant.certificate import as_markdown, certificate
from assistant.commands.follow import followed
from assistant.commands.tune import dials_of
from assistant.commands.who import actor
from assistant.erasure import (
    Say,
    affected,
    approve,
    begin_retraining,
    certify,
    erase,
    finish_unfinished,
)
from assistant.verbs import Event, Events
from storage.erasure import Erasure
from storage.erasure_requests import list_requests, refuse_request
from storage.errors import BadInput

_Result = TypeVar("_Result")


def erase_it(
    app: App,
    *,
    feedback: str | None = None,
    conversation: str | None = None,
    contributor: str | None = None,
    request: int | None = None,
    requests: bool = False,
    refuse: bool = False,
    retrain: bool = False,
    dials: list[str] | None = None,
    detached: bool = False,
) -> Events:
    """Erase one thing and yield its certificate; with `requests` list who asked for it.

    The exit code is 1 when words were still found, or when a round on what remains broke off.
    NotFound for an unknown id. Something erased before yields its certificate again.
    """
    asked = _asked(feedback, conversation, contributor, request, requests)
    if requests:
        yield from _waiting(app)
        return 0
    if refuse:
        if request is None:
            raise BadInput("--refuse says no to a request: name it with --request ID.")
        yield _refused(app, request)
        return 0
    wanted = dials_of(None, dials or [])
    known, before = yield from _erased(app, *asked)
    if before:
        yield {"warning": f"It was erased on {known.erased_at}; this is the certificate of then."}
    if retrain:
        known = yield from _retrained(app, known, wanted, detached)
    with closing(app.db()) as db:
        facts = certificate(db, app.datadir, known)
    folder = app.datadir.certificates
    text = as_markdown(facts)
    yield {**facts, "file": str(folder / f"{known.id}.json"), "text": text}
    broken = [item for item in facts["retrained"] if "error" in item]
    return 0 if facts["verified"] and not (retrain and broken) else 1


def _asked(
    feedback: str | None,
    conversation: str | None,
    contributor: str | None,
    request: int | None,
    requests: bool,
) -> tuple[str, str]:
    """What is to be erased, as kind and id; exactly one must be named."""
    named = {"feedback": feedback, "conversation": conversation, "contributor": contributor}
    given = [(kind, value) for kind, value in named.items() if value is not None]
    if request is not None:
        given.append(("request", str(request)))
    if len(given) + requests != 1:
        raise BadInput("Name one thing: --feedback, --conversation, --contributor or --request.")
    return given[0] if given else ("requests", "")


def _erased(app: App, kind: str, subject: str) -> Generator[Event, None, tuple[Erasure, bool]]:
    """Progress; returns the finished erasure and whether it had been one before."""
    who = actor()

    def work(say: Say) -> tuple[Erasure, bool]:
        finish_unfinished(app, say=say)
        if kind == "request":
            return approve(app, int(subject), actor=who, say=say), False
        return erase(app, kind, subject, actor=who, say=say)

    return (yield from _in_thread(work))


def _retrained(
    app: App, known: Erasure, dials: dict[str, Any], detached: bool
) -> Generator[Event, None, Erasure]:
    """Progress of a round in each workspace where an adapter had learned from the rows."""
    with closing(app.db()) as db:
        workspaces = affected(db, known)
    for workspace_id in workspaces:
        queued = begin_retraining(app, known, workspace_id, actor=actor(), dials=dials)
        if queued is not None:
            for event in followed(app, queued, detached=detached):
                if "progress" in event or "warning" in event:
                    yield event
    with closing(app.db()) as db:
        return certify(app, db, known.id)


def _in_thread(work: Callable[[Say], _Result]) -> Generator[Event, None, _Result]:
    """Progress of `work`, which goes on to its end when the caller leaves; returns its result."""
    said: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    ended: dict[str, Any] = {}

    def run() -> None:
        try:
            ended["result"] = work(lambda share, note: said.put({"progress": share, "note": note}))
        except BaseException as error:  # noqa: BLE001  raised again where the caller waits
            ended["error"] = error
        finally:
            said.put(None)

    # no daemon: the interpreter waits for it, so an erasure is not cut off by a closed terminal
    threading.Thread(target=run, name="erase").start()
    while (event := said.get()) is not None:
        yield event
    if "error" in ended:
        raise ended["error"]
    result: _Result = ended["result"]
    return result


def _waiting(app: App) -> Iterator[Event]:
    with closing(app.db()) as db:
        for item in list_requests(db):
            yield asdict(item)


def _refused(app: App, request: int) -> Event:
    with closing(app.db()) as db:
        return asdict(refuse_request(db, request, actor=actor()))
