"""Where a round starts: at the base with everything, or at an adapter with what is new to it.

From the base is reproducible and forgets nothing, and erasing is leaving out; it takes longer with
every approved correction. So once that no longer fits the minutes, what serves is taught on: all
new corrections, and a share of the earlier ones so that they stay.
"""

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.lessons import Lesson
from assistant.signing import trusted
from storage import rounds
from storage.adapters import adapter as adapter_row
from storage.adapters import serving_adapter
from storage.errors import BadInput, Refused
from storage.records import Adapter, Workspace
from tuning.adapter_files import CONFIG, AdapterRefused
from tuning.config import RoundConfig

SHAPE = (
    "method",
    "quantization",
    "rank",
    "alpha",
    "width",
    "placement",
    "target_modules",
    "layers",
)
"""Dials that an adapter keeps for life."""
WRITTEN = {"rank": "r", "alpha": "lora_alpha", "width": "width"}
"""Dials that PEFT keeps in an adapter's config, with its names for them."""


@dataclass(frozen=True)
class Start:
    """What a round trains on, with which dials. `adapter` None: from the base."""

    adapter: Adapter | None
    lessons: tuple[Lesson, ...]
    config: RoundConfig
    notes: tuple[str, ...] = ()


def choose_start(
    app: App,
    db: Database,
    workspace: Workspace,
    found: Sequence[Lesson],
    config: RoundConfig,
    *,
    wanted: str | None,
    asked: Mapping[str, Any],
    minutes: Callable[[Sequence[Lesson]], float],
) -> Start:
    """The start for these lessons: `wanted` ("base" or an adapter's id), else by the budget.

    `minutes` says what training on some lessons takes, `asked` are the dials that were set by
    hand. Raises BadInput, NotFound or Refused for a wanted start that cannot be.
    """
    whole = Start(None, tuple(found), config)
    if wanted == "base":
        return whole
    if wanted is not None:
        parent = _wanted(app, db, workspace, wanted)
        return _from_adapter(app, db, parent, found, config, asked)
    needed = minutes(found)
    if needed <= config.max_minutes:
        return whole
    long = f"Everything from the base takes about {needed:.0f} of {config.max_minutes:g} minutes"
    serving, why_not = _serving(app, db, workspace)
    if serving is None:
        return replace(whole, notes=(f"{long}, and {why_not}: the round ends when time is up.",))
    taught = _from_adapter(app, db, serving, found, config, asked)
    notes = (f"{long}, so adapter {serving.id} is taught on.", *taught.notes)
    return replace(taught, notes=notes)


def _wanted(app: App, db: Database, workspace: Workspace, wanted: str) -> Adapter:
    if not wanted.isdecimal():
        raise BadInput(f"A round starts from base or an adapter's number, not from {wanted!r}.")
    known = adapter_row(db, int(wanted))
    if known.workspace_id != workspace.id:
        raise Refused(f"Adapter {known.id} is not of the workspace {workspace.name!r}.")
    if known.status == "tainted":
        raise Refused(
            f"Adapter {known.id} is tainted, it learned what was erased: use `--from base`."
        )
    _verify(app, db, known)
    return known


def _serving(app: App, db: Database, workspace: Workspace) -> tuple[Adapter | None, str]:
    """The adapter that serves, if it can be taught on; else why not, in words."""
    known = serving_adapter(db, workspace.id)
    if known is None:
        return None, "no adapter serves that could be taught on"
    try:
        _verify(app, db, known)
    except AdapterRefused as error:
        return None, f"adapter {known.id} cannot be taught on ({error.reason})"
    return known, ""


def _verify(app: App, db: Database, known: Adapter) -> None:
    trusted(app.settings, db, known, app.adapter_folder(known.id), app.base.fingerprint)


def _from_adapter(
    app: App,
    db: Database,
    parent: Adapter,
    found: Sequence[Lesson],
    config: RoundConfig,
    asked: Mapping[str, Any],
) -> Start:
    """New lessons, a share of the earlier ones, and what is held out; the parent's shape."""
    before = rounds.taught_before(db, parent.id)
    lessons = _never_judged_by_the_taught(found, before)
    earlier = [one for one in lessons if one.split == "train" and _known(one, before)]
    again = math.ceil(config.earlier_share * len(earlier))
    kept = {one.pair.feedback_id for one in random.Random(config.seed).sample(earlier, again)}
    left_out = {one.pair.feedback_id for one in earlier} - kept
    chosen = tuple(one for one in lessons if one.pair.feedback_id not in left_out)
    new = sum(one.split == "train" for one in chosen) - again
    shape = _shape(app, db, parent)
    said = f"{new} corrections are new to it; {again} of {len(earlier)} earlier ones are repeated."
    notes = (said, *_kept(parent, shape, asked))
    taught_on = replace(config, **shape)
    if not float(asked.get("learning_rate") or 0):
        own = replace(taught_on, learning_rate=0.0)
        taught_on = replace(own, learning_rate=own.peak_rate)
    return Start(parent, chosen, taught_on, notes)


def _known(lesson: Lesson, before: Mapping[int, bool]) -> bool:
    return before.get(lesson.pair.feedback_id, False)


def _never_judged_by_the_taught(
    found: Sequence[Lesson], before: Mapping[int, bool]
) -> list[Lesson]:
    """The lessons, those that the parent was taught no longer held out: they would judge nothing.

    A need held out whole trains whole once one of its wordings was taught.
    """
    groups = {one.pair.group for one in found if one.pair.feedback_id in before}
    return [
        replace(one, split="train")
        if one.pair.feedback_id in before or (one.split == "new needs" and one.pair.group in groups)
        else one
        for one in found
    ]


def _shape(app: App, db: Database, parent: Adapter) -> dict[str, Any]:
    """The parent's dials of SHAPE, from its round or, for an imported one, from its files."""
    if parent.round_id is not None:
        config = rounds.tuning_round(db, parent.round_id).config
        if {"method", "rank"} <= set(config):
            return {name: config[name] for name in SHAPE if name in config}
    written = json.loads((app.adapter_folder(parent.id) / CONFIG).read_text(encoding="utf-8"))
    found = {dial: written.get(key) for dial, key in WRITTEN.items()}
    return {"method": parent.method, **{name: v for name, v in found.items() if v is not None}}


def _kept(parent: Adapter, shape: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[str, ...]:
    """One sentence if another shape was asked for than the parent has."""
    other = [
        f"{name} {shape[name]} (not {asked[name]})"
        for name in SHAPE
        if name in shape
        and asked.get(name) not in (None, "auto")
        and str(asked[name]) != str(shape[name])
    ]
    if not other:
        return ()
    return (f"It keeps adapter {parent.id}'s {', '.join(other)}; `--from base` takes any.",)
