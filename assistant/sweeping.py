"""A round that first looks for its dials: `tune --sweep`.

The trials get rows that would train and nothing that the gate asks; the round then trains all its
rows by the best trial's dials and is judged once, as any round.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.engines.choose import has_cuda
from assistant.opponents import Watch
from assistant.round_export import record_leaving
from assistant.round_plan import RoundPlan, served_by
from assistant.runners import runner_of_round
from assistant.turns import away
from storage import rounds
from storage.errors import BadInput, Refused
from storage.records import TuningRound
from tuning.bundle import Bundle, bundle_hash, write_bundle
from tuning.child import Said, in_child
from tuning.runners.ray import Ray
from tuning.sweep import (
    BUNDLE,
    SEARCH,
    SWEPT,
    Budget,
    Space,
    config_of,
    first_dials,
    rows_for,
    space_of,
    write_pool,
)
from tuning.sweep import typed as typed_values

SWEEP = "sweep"
"""In a round's config: the budget, then what each trial came to. Its folder's name too."""
WHOLE, POOL = "whole", "pool"
"""In that folder: the round's bundle before its dials are known, and what the trials get."""
BEFORE_TRAINING = 0.05
"""How far a round is when its training begins; see `Watch`."""
LOG = "sweep.log"
ALSO = "rslora"
"""Tried beside lora: every engine serves it, and it fits other ranks."""


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was asked for."""

    budget: Budget = Budget()
    tried: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Dial -> the values to try, as typed; other dials are tried around the round's own."""


@dataclass(frozen=True)
class Wanted:
    """A sweep that fits its round."""

    budget: Budget
    named: Space
    """The dials whose values are settled."""
    methods: tuple[str, ...]
    """What is tried where no method is named."""


def wanted_sweep(app: App, plan: RoundPlan, asked: Sweep, dials: Mapping[str, Any]) -> Wanted:
    """The sweep for this plan; `dials` that were set are not searched.

    Raises BadInput for values that do not fit, a method that nothing here can serve, or a round
    that goes on from an adapter; Refused without Ray.
    """
    if find_spec("ray") is None:
        raise Refused("A sweep needs the package ray: install apprentice-chat[ray].")
    if plan.start is not None:
        raise BadInput("A sweep changes the adapter's form: tune it with --from base.")
    found = typed_values(_pinned(dials, asked.tried))
    for method in found.get("method", ()):
        served_by(app, method)
    own = plan.config.method
    return Wanted(asked.budget, found, (own, ALSO) if own == "lora" else (own,))


def _pinned(asked: Mapping[str, Any], tried: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The values of each dial: one that was set (`--set rank=8`) has one value."""
    both = sorted(set(asked) & set(tried))
    if both:
        raise BadInput(f"{both[0]} is set and tried at once: say one of them.")
    alone = {dial: [asked[dial]] for dial in SWEPT if asked.get(dial) not in (None, "auto")}
    return {**alone, **{dial: list(values) for dial, values in tried.items()}}


def swept(
    app: App, db: Database, queued: TuningRound, wanted: Wanted, whole: Bundle, watch: Watch
) -> tuple[Bundle, str]:
    """The round's bundle with the best trial's dials, and in words what came out.

    `whole` lies in the sweep's folder, which goes. What the trials came to is kept in the round's
    config. Raises RoundCancelled, and what the search and `write_pool` raise.
    """
    folder = app.datadir.rounds / str(queued.id)
    try:
        parted = write_pool(whole, folder / SWEEP / POOL, f"{queued.workspace_id}")
        space = space_of(whole, wanted.methods, wanted.named)
        found = _searched(app, db, queued, wanted, whole, space, watch)
        config = config_of(whole.config, found["best"])
        bundle = write_bundle(
            folder / BUNDLE,
            config=config,
            base_fingerprint=whole.base_fingerprint,
            base_model=whole.base_model,
            round_id=whole.round_id,
            train=rows_for(whole.train, config.objective),
            heldout=whole.heldout,
            sentinel=whole.sentinel,
            likelihood=whole.likelihood,
            probes=whole.probes,
        )
    finally:
        shutil.rmtree(folder / SWEEP, ignore_errors=True)
    kept = {**asdict(wanted.budget), **found, "scored_by": len(parted.scored)}
    dials = {name: getattr(config, name) for name in (*SWEPT, "alpha")}
    rounds.note_sweep(db, queued.id, {**dials, SWEEP: kept})
    return bundle, in_words(found)


def in_words(found: Mapping[str, Any]) -> str:
    """What a sweep came to, in one sentence. `found` is what `tuning.search` says."""
    ended = [one for one in found["trials"] if one["ended"]]
    best = next(one for one in ended if one["dials"] == found["best"])
    first = found["trials"][0]
    own = f", by the round's own dials {first['right']}" if first["ended"] else ""
    dials = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(found["best"].items())
    )
    return (
        f"A sweep of {len(found['trials'])} trials in {found['seconds'] / 60:.1f} minutes chose "
        f"{dials}: {best['right']} of {best['total']} kept-out wordings word for word{own}."
    )


def _searched(
    app: App,
    db: Database,
    queued: TuningRound,
    wanted: Wanted,
    whole: Bundle,
    space: Space,
    watch: Watch,
) -> Said:
    """The search's result: here in a child, or on the cluster that trains the round."""

    def told(said: Said) -> None:
        if "note" in said:
            watch.say(BEFORE_TRAINING, said["note"])

    runner = runner_of_round(app.settings, queued)
    there = isinstance(runner, Ray)
    settings = app.settings
    pool = app.datadir.rounds / str(queued.id) / SWEEP / POOL
    spec = {
        "space": {name: list(values) for name, values in space.items()},
        "first": first_dials(whole, space),
        **asdict(wanted.budget),
        "threads": max(1, int(settings.ray_cpus)) if there else settings.threads,
        "seed": whole.config.seed,
        "cpus": settings.ray_cpus if there else 1.0,
        "gpus": settings.ray_gpus if there else float(has_cuda()),
    }
    (pool / SEARCH).write_text(json.dumps(spec, indent=1), encoding="utf-8")
    log = pool.parent.parent / LOG
    if not isinstance(runner, Ray):
        how = ["--model", str(app.base.folder), "--parent", str(os.getpid())]
        return in_child(
            ["-m", "tuning.search", str(pool), *how],
            log,
            on_said=told,
            cancelled=watch.cancelled,
        )
    place, actor = runner.place(pool / BUNDLE), str(queued.config.get("actor", "server"))
    record_leaving(db, queued.id, bundle_hash(pool / BUNDLE), place, actor)
    with away(db, queued, watch.cancelled):
        return runner.search(
            pool, app.base.folder, log, on_progress=told, cancelled=watch.cancelled
        )
