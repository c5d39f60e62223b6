"""What a sweep tries, and on which rows: a part of those that would train, never the gate's. Pure.

The gate's cases are not in what a trial gets. Of each need that is taught in two wordings one is
kept out of the trials and scores them; it trains in the round that the sweep is for. So the best
dials are chosen by rows that the gate never asks, and the gate judges one adapter, once.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError, BadInput
from tuning.batches import one_pass
from tuning.bundle import Bundle, asked, write_bundle
from tuning.config import PEAK_RATES, RoundConfig
from tuning.evaluate import Case
from tuning.rows import TAUGHT, TrainRow, write_rows

SWEPT = ("method", "objective", "rank", "learning_rate", "epochs")
"""The dials that a sweep tries."""
LEAST_NEEDS = 5
"""Needs that must score a trial: with fewer, one answer is worth more than most dials."""
MOST_ROWS = 200
"""Rows that score a trial at most: each costs a forward pass an epoch."""
MOST_TRIALS = 500
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the method's own peak rate, which fits its kind of weights (`config.PEAK_RATES`)."""
RANKS = (8, 16, 32)
EPOCHS = (0.5, 1.0, 2.0)
"""Of the passes that the round would make."""

BUNDLE, SCORED = "bundle", "scored.jsonl"
"""In the folder that the trials get."""
SEARCH = "search.json"
"""{"space", "first", "trials", "minutes", "threads", "seed", "cpus", "gpus"}, beside them."""

Space = Mapping[str, Sequence[Any]]
"""Dial -> the values that are tried."""
Dials = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a sweep may cost; whichever is spent first ends it."""

    trials: int = 8
    minutes: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= MOST_TRIALS:
            raise BadInput(f"A sweep of {self.trials} trials cannot be: take 1 to {MOST_TRIALS}.")
        if not 0 < self.minutes < math.inf:
            raise BadInput(f"A sweep of {self.minutes:g} minutes cannot be: take more than 0.")


def typed(named: Mapping[str, Sequence[Any]]) -> Space:
    """The values by their dial's type. Raises BadInput for a dial that is not swept, or a value
    that does not fit."""
    other = sorted(set(named) - set(SWEPT))
    if other:
        raise BadInput(f"A sweep does not try {other[0]!r}; it tries {', '.join(SWEPT)}.")
    found = {
        dial: [getattr(RoundConfig.from_json({dial: value}), dial) for value in values]
        for dial, values in named.items()
    }
    if "auto" in (*found.get("method", ()), *found.get("objective", ())):
        raise BadInput("A sweep tries methods and objectives by name: auto is none.")
    if 0 in found.get("epochs", ()):
        raise BadInput("A sweep tries epochs by number: 0 is none.")
    return found


def space_of(bundle: Bundle, methods: Sequence[str], named: Space) -> Space:
    """The values of each dial: those `named`, else around what the bundle has.

    `methods` are those that may be served here. Raises BadInput for an objective that the bundle
    has nothing for.
    """
    passes = one_pass(bundle.train, bundle.config).times(bundle.config)
    can = _objectives(bundle)
    lacks = [one for one in named.get("objective", ()) if one not in can]
    if lacks:
        raise BadInput(f"The round has nothing to teach by {lacks[0]}: leave it out of the sweep.")
    space: dict[str, Sequence[Any]] = {
        "method": list(methods),
        "objective": can,
        "rank": sorted({*RANKS, bundle.config.rank}),
        "epochs": sorted({max(1, round(share * passes)) for share in EPOCHS}),
        "rate_share": RATES,
    }
    if "learning_rate" in named:
        del space["rate_share"]
    return space | dict(named)


def first_dials(bundle: Bundle, space: Space) -> Dials:
    """What the round would take without a sweep, where the space has it: it is tried first."""
    config = bundle.config
    passes = one_pass(bundle.train, config).times(config)
    own = {"rate_share": 1.0, **{name: getattr(config, name) for name in SWEPT}, "epochs": passes}
    return {name: own[name] if own[name] in values else values[0] for name, values in space.items()}


def config_of(own: RoundConfig, dials: Mapping[str, Any]) -> RoundConfig:
    """The round's config with a trial's dials; the adapter's scale keeps its share of the rank.

    `rate_share` is of the method's own peak rate; without it the learning rate is a dial or stays.
    """
    found = replace(own, **{name: dials[name] for name in SWEPT if name in dials})
    scale = max(1, round(own.alpha * found.rank / own.rank))
    rate = found.learning_rate
    if "rate_share" in dials:
        rate = PEAK_RATES[found.method] * dials["rate_share"]
    return replace(found, alpha=scale, learning_rate=rate)


@dataclass(frozen=True)
class Divided:
    """The rows of a bundle for its sweep."""

    train: tuple[TrainRow, ...]
    scored: tuple[TrainRow, ...]

    @property
    def cases(self) -> tuple[Case, ...]:
        """The scored rows as cases, so that whatever reads the bundle sees they must not train."""
        return tuple(
            Case(row.id, row.group, "new wordings", row.messages, row.prompt_ids, row.completion)
            for row in self.scored
        )


def divide(rows: Sequence[TrainRow], salt: str) -> Divided:
    """One wording of each need with at least two for the score, the others to train on.

    Drawn by the words, so that it stays as the data grows. Raises BadInput where too few needs
    have two.
    """
    needs: dict[str, dict[tuple[int, str], list[TrainRow]]] = defaultdict(dict)
    for row in rows:
        if row.kind == "correction":
            needs[row.group].setdefault(asked(row.messages), []).append(row)
    drawn = {
        group: min(wordings, key=lambda question: _draw(salt, *map(str, question)))
        for group, wordings in needs.items()
        if len(wordings) > 1
    }
    if len(drawn) < LEAST_NEEDS:
        raise BadInput(
            f"A sweep needs {LEAST_NEEDS} needs that are taught in two wordings, to score by one "
            f"of them, and has {len(drawn)}: correct the same need in other words."
        )
    few = sorted(drawn, key=lambda group: _draw(salt, "need", group))[:MOST_ROWS]
    scored = tuple(needs[group][drawn[group]][0] for group in few)
    return Divided(tuple(_left(rows, scored, {drawn[group] for group in few})), scored)


def _left(
    rows: Sequence[TrainRow], scored: Sequence[TrainRow], questions: set[tuple[int, str]]
) -> Iterator[TrainRow]:
    """The rows that have nothing of those that score: not the words, a variant, or the prompt."""
    prompts = {row.prompt_ids for row in scored}
    out = {row.id for row in rows if asked(row.messages) in questions or row.prompt_ids in prompts}
    yield from (row for row in rows if row.id not in out and row.of not in out)


def write_pool(bundle: Bundle, folder: Path, salt: str) -> Divided:
    """What the trials get, in a new folder: a bundle without the gate's cases, and what scores.

    Raises what `divide` and `write_bundle` do.
    """
    parted = divide(tuple(bundle.train), salt)
    write_bundle(
        folder / BUNDLE,
        config=bundle.config,
        base_fingerprint=bundle.base_fingerprint,
        base_model=bundle.base_model,
        train=parted.train,
        heldout=parted.cases,
    )
    with (folder / SCORED).open("wb") as file:
        write_rows(file, parted.scored)
    return parted


def rows_for(rows: Sequence[TrainRow], objective: str) -> Iterator[TrainRow]:
    """The rows that the objective learns from: thumbs are for kto, preferences for dpo."""
    unwanted = {"sft": ("thumb", "preference"), "dpo": ("thumb",), "kto": ("preference",)}
    return (row for row in rows if row.kind not in unwanted[objective])


class SearchFailed(ApprenticeError):
    """No trial ended; the sentence says why."""


def best_of(trials: Sequence[Mapping[str, Any]], minutes: float) -> Dials:
    """The dials of the best that trained to its end; one that was cut off tells less.

    Raises SearchFailed where none did.
    """
    ended = [one for one in trials if one["ended"] and one["score"] is not None]
    if ended:
        return dict(max(ended, key=lambda one: one["score"])["dials"])
    errors = [one["error"] for one in trials if one["error"]]
    if errors:
        raise SearchFailed(f"Every trial of the sweep failed; the first said: {errors[0]}")
    raise SearchFailed(
        f"No trial of the sweep ended within {minutes:g} minutes: give it more, or fewer epochs."
    )


def _objectives(bundle: Bundle) -> list[str]:
    """What the bundle has rows for."""
    kinds = {row.kind for row in bundle.train}
    compared = any(row.kind in TAUGHT and row.rejected_ids for row in bundle.train)
    has = {"sft": "correction" in kinds, "dpo": compared, "kto": "thumb" in kinds}
    return [name for name, there in has.items() if there]


def _draw(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
