"""Whether an engine answers by the very weights that a round made: asked once after each load.

Files that verify prove nothing about what an engine holds: it reads a form of its own beside them
(`adapter.gguf`), and may mix two up. So at the end of a round the engine that judged is asked for
the likeliest next tokens after a short prompt, and so is every engine after it has loaded the
adapter. One step forward, some tens of tokens; no text of anybody is in the prompt but the
beginning of the workspace's own instructions.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from assistant.engines.protocol import Engine, EngineFailed, NotSupported, Sampling
from assistant.prompt import build_messages
from assistant.signing import key_of
from storage import proofs
from storage.audit import audit
from storage.records import Adapter, Inputs
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

ASKED = ("What can you do?", "Hello!", "Who are you?")
"""The first that is answered by a whole character: of half a one engines tell nothing."""
BEGINNING = 60
"""Characters of the instructions: under them the adapter was taught, and each costs time."""
COMPARED = 4
"""Of the likeliest tokens; an engine tells nine, and the last of them change places."""
NATS = 0.25
"""How far a token's log-probability may be from what it was."""


def probe_prompts(app: "App", instructions: str) -> list[list[int]]:
    """The prompts as token ids: the first that an engine can tell about is kept."""
    return [
        app.tokenizer.render(build_messages(Inputs(question, instructions[:BEGINNING], 1)))
        for question in ASKED
    ]


def probe(
    engine: Engine, adapter_id: int | None, prompts: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """{"prompt_ids", "likeliest": [[token, log-probability], ...]}, the likeliest first.

    Raises NotSupported when the engine tells no probabilities of any of the prompts.
    """
    sampling = Sampling(max_tokens=1, runners_up=True)
    for prompt_ids in prompts:
        pieces = engine.stream(prompt_ids, adapter_id, sampling, (), threading.Event())
        chosen = [token for piece in pieces for token in piece.chosen]
        if chosen:
            first = chosen[0]
            likeliest = [[first.token, first.log_prob], *map(list, first.others)]
            return {"prompt_ids": list(prompt_ids), "likeliest": likeliest}
    raise NotSupported(f"{engine.name} does not tell how likely its tokens are.")


def distance(kept: dict[str, Any], found: dict[str, Any]) -> float:
    """Nats by which the COMPARED likeliest tokens of one differ from the other, at most.

    One that the other does not name counts as its last, the least likely that it names.
    """
    far = 0.0
    for one, other in ((kept, found), (found, kept)):
        told = {token: nats for token, nats in other["likeliest"]}
        last = min(told.values())
        for token, nats in one["likeliest"][:COMPARED]:
            far = max(far, abs(nats - told.get(token, min(last, nats))))
    return far


def prove(app: "App", known: Adapter, engine: Engine) -> None:
    """Ask a loaded adapter and compare; the first time an engine loads it, keep what it says.

    What does not fit is loaded again, from a form made anew. Raises AdapterRefused, `proof`, when
    it still does not fit: the adapter is unloaded then. `last_good` puts another one in its place.
    """
    from tuning.adapter_files import GGUF, AdapterRefused

    key = key_of(app.settings)
    folder = app.adapter_folder(known.id)
    with closing(app.db()) as db:
        try:
            kept = proofs.proof(db, known.id, engine.name, key)
        except proofs.Forged:
            engine.unload(known.id)
            why = f"what {engine.name} is to say by it was changed since it was kept"
            raise AdapterRefused(folder, "proof", why) from None
        try:
            if kept is None:
                prompts = probe_prompts(app, workspace_by_id(db, known.workspace_id).instructions)
                first, *others = _servers(engine)
                said = probe(first, known.id, prompts)
                if not others or _fits(said, engine, known.id):
                    proofs.put_proof(db, known.id, engine.name, said, key)
                    return
                kept = said
            elif _fits(kept, engine, known.id):
                return
            engine.unload(known.id)
            (folder / GGUF).unlink(missing_ok=True)
            engine.load(known.id, folder)
            if _fits(kept, engine, known.id):
                detail = {"engine": engine.name}
                audit(db, "system", "adapter made anew for engine", f"adapter:{known.id}", detail)
                return
        except NotSupported as error:
            log.info("adapter %d is not proved: %s", known.id, error)
            return
    engine.unload(known.id)
    raise AdapterRefused(
        folder,
        "proof",
        f"{engine.name} does not say by it what it said when it was made; tune again, or look at "
        f"what it says and trust it as it is: `apprentice adapters sign {known.id}`",
    )


def put_made_proof(app: "App", db: Database, adapter_id: int, said: Mapping[str, Any]) -> None:
    """Keep what the engine that judged a round said by its adapter."""
    kept = {name: said[name] for name in ("prompt_ids", "likeliest")}
    proofs.put_proof(db, adapter_id, said["engine"], kept, key_of(app.settings))


def last_good(app: "App", refused: int, error: Exception) -> Adapter | None:
    """What serves, loaded and proved, in place of an adapter that was not; None is the base.

    An adapter that was refused for anything else keeps its place: its files may come back.
    """
    from tuning.adapter_files import AdapterRefused

    while isinstance(error, AdapterRefused) and error.reason == "proof":
        with closing(app.db()) as db:
            instead = proofs.replace_unproved(db, refused, app.engine_for(refused).name)
        log.error("adapter %d does not serve any more: %s", refused, error)
        app.forget_adapter(refused)
        if instead is None:
            return None
        try:
            return app.load_adapter(instead.id)
        except AdapterRefused as another:
            refused, error = instead.id, another
    return None


def _servers(engine: Engine) -> Sequence[Engine]:
    """Those that answer in an engine's name, to be asked one by one; most are their own."""
    several = getattr(engine, "each", None)
    return (several() if several else None) or [engine]


def _fits(kept: dict[str, Any], engine: Engine, adapter_id: int) -> bool:
    """Whether every server of the engine says what was kept; one that has gone counts no more."""
    fits, gone = [], None
    for one in _servers(engine):
        try:
            fits.append(_one_fits(kept, one, adapter_id))
        except EngineFailed as error:
            gone = error
    if gone and not fits:
        raise gone
    return all(fits)


def _one_fits(kept: dict[str, Any], engine: Engine, adapter_id: int) -> bool:
    try:
        return distance(kept, probe(engine, adapter_id, [kept["prompt_ids"]])) <= NATS
    except NotSupported:  # half a character came before the likeliest, if they were that near
        (_, first), (_, second) = kept["likeliest"][:2]
        return bool(first - second <= NATS)
