"""What `apprentice doctor` says of base models and of the server that has one."""

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.bases import KNOWN, advised, needs, present, this_machine
from assistant.doctor_check import Check
from assistant.engines.families import why_not_llamacpp
from assistant.settings import Settings
from storage.adapters import serving_adapter
from storage.datadir import DataDir
from storage.errors import ApprenticeError
from storage.models import Damaged, find_base, is_local, verify
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.engines.remote import Remote


def base_model(settings: Settings, datadir: DataDir) -> Check:
    """The base model is here and its files are what its fingerprint was taken from."""
    name = settings.base_model
    try:
        base = find_base(name, datadir.models)
    except Damaged as error:
        again = "Put the whole file there." if is_local(name) else "Start the server: it does."
        return Check("base model", "fail", str(error), again)
    except (ApprenticeError, OSError) as error:
        return Check("base model", "fail", str(error), "Correct APPRENTICE_BASE_MODEL.")
    if base is None:
        return Check("base model", "ok", f"{name}, not fetched yet: the first answer does")
    if not verify(base):
        remedy = f"Delete {base.folder}: it is made again."
        return Check("base model", "fail", f"{base.folder} has changed", remedy)
    return Check("base model", "ok", f"{name}, {base.fingerprint[:12]}, files verified")


def room_for_base(settings: Settings, datadir: DataDir) -> Check:
    """Whether the base can serve and be taught here, and which one is advised for this machine."""
    machine = this_machine(settings.threads)
    best = advised(machine, settings.context)
    advice = f"{best.name} is advised for this machine (`doctor --bases` lists others)"
    try:
        base = find_base(settings.base_model, datadir.models)
        why = base and base.gguf and why_not_llamacpp(base.folder, settings.context)
        known = present(settings.base_model, base, settings.engine, settings.context)
    except (ApprenticeError, OSError, LookupError) as error:
        return Check("room for it", "warn", f"not counted: {error}", f"{advice}.")
    if known is None:
        return Check("room for it", "ok", f"not counted before it is fetched; {advice}")
    found = needs(known, machine, settings.context)
    text = f"{found.sentence()}; " + (f"not by llama.cpp: {why}; " if why else "") + advice
    if found.fits:
        return Check("room for it", "ok", text)
    return Check("room for it", "warn", text, "A smaller base, or rounds while nothing serves.")


def known_bases(settings: Settings) -> Iterator[Check]:
    """What each well-known base model needs on this machine."""
    machine = this_machine(settings.threads)
    best = advised(machine, settings.context)
    for base in KNOWN:
        found = needs(base, machine, settings.context)
        text = f"{base.parameters / 1e9:.2f} billion, {base.licence}: {found.sentence()}"
        if base == best:
            yield Check(base.name, "ok", f"{text}; advised")
        elif not found.fits:
            yield Check(base.name, "warn", text, "There is not the memory for it.")
        elif not found.quick:
            yield Check(base.name, "warn", text, "It would answer slower than people read.")
        else:
            yield Check(base.name, "ok", text)


def model_servers(settings: Settings, datadir: DataDir, db: Database) -> Iterator[Check]:
    """The server of the engine `remote` answers and reads the base model's tokens; and each of
    several has what serves."""
    from assistant.engines.remote import Remote
    from assistant.engines.remote_place import remote_place

    try:
        base = find_base(settings.base_model, datadir.models)
        if base is None:
            remedy = "Start the server once: the base model's tokens are compared then."
            yield Check("model server", "warn", "not asked yet", remedy)
            return
        place = remote_place(settings)
        with closing(Remote(base, threads=1, context=settings.context, place=place)) as asked:
            yield _model_server(settings, asked)
            yield from _replicas(asked, datadir, db)
    except (ApprenticeError, OSError) as error:
        yield Check("model server", "fail", str(error), "Nothing is answered until it does.")


def _model_server(settings: Settings, asked: "Remote") -> Check:
    if asked.context_length < settings.context:
        text = f"{asked.kind} reads {asked.context_length} tokens at most"
        remedy = f"Set APPRENTICE_CONTEXT={asked.context_length}."
        return Check("model server", "warn", text, remedy)
    if asked.same_tokens is None:
        remedy = f"Make sure yourself that it serves {settings.base_model}."
        return Check("model server", "warn", f"{asked.kind} does not tell its tokens", remedy)
    return Check("model server", "ok", f"{asked.kind}, the same tokens as the base model")


def _replicas(asked: "Remote", datadir: DataDir, db: Database) -> Iterator[Check]:
    """Each server behind the balancer by itself; a name that it should have tells by its hash
    whether it is of these very files."""
    from assistant.engines.remote_dialects import version_of

    serving = [(item.name, serving_adapter(db, item.id)) for item in list_workspaces(db)]
    wanted = {
        name: version_of(adapter.id, datadir.adapters / str(adapter.id)).name
        for name, adapter in serving
        if adapter is not None
    }
    told = asked.survey()
    for shown, found in told[:1]:
        if isinstance(found, Exception):
            remedy = "Replies are asked of the replicas themselves, each after some seconds."
            yield Check("balancer", "fail", f"{shown}: {found}", remedy)
    for shown, found in told[1:]:
        if isinstance(found, Exception):
            remedy = "Replies go to the others; it gets its adapters when it answers."
            yield Check("replica", "warn", f"{shown}: {found}", remedy)
            continue
        lacking = sorted(name for name, adapter in wanted.items() if adapter not in found)
        if lacking:
            text = f"{shown} lacks the adapter of {', '.join(lacking)}"
            remedy = "A running server loads it in seconds; its log says why it does not."
            yield Check("replica", "warn", text, remedy)
        else:
            yield Check("replica", "ok", f"{shown} has the {len(wanted)} adapters that serve")
