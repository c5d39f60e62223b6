"""What a step computes: which rows, in which words, packed how. Pure.

Rows of a round begin alike (instructions, template), so a part holds that beginning once, with the
rest of each row behind it: no token of a row sees another row, the figures are those of separate
rows, and nothing is padded. On the sample company this halves the tokens of a step.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from heapq import heapify, heapreplace
from os.path import commonprefix

from tuning.bundle import TAUGHT, RowKind, TrainRow
from tuning.config import RoundConfig

Unit = tuple[TrainRow, ...]
"""Rows that must share a part."""

PASSES = 13
LEAST_STEPS = 156
"""Both are what the 62 training pairs of the sample company take to be learned with room to spare;
few pairs make few steps a pass, and steps are what a model learns by."""
NEED_TURNS = 26
"""And a need must be seen often enough, however many steps are made: of 40 pairs with a need each,
20 passes left 13 unlearned and 26 left 7. At the sample company a need is seen 60 times."""


@dataclass(frozen=True)
class Pass:
    """What one pass goes over, row by row."""

    pairs: int
    """All that somebody approved."""
    replay: int = 0
    recombined: int = 0
    wordings: float = 0.0
    """Corrections a need, on average; 0 where nothing was corrected."""

    def steps(self, config: RoundConfig) -> int:
        """Optimiser steps."""
        return math.ceil((self.pairs + self.replay + self.recombined) / config.batch_size)

    def times(self, config: RoundConfig) -> int:
        """How often training goes over the pairs at most; recombined rows make no pass fewer."""
        steps = math.ceil((self.pairs + self.replay) / config.batch_size)
        turns = math.ceil(NEED_TURNS / self.wordings) if self.wordings else 0
        return config.epochs or max(PASSES, math.ceil(LEAST_STEPS / max(1, steps)), turns)


def one_pass(rows: Iterable[TrainRow], config: RoundConfig) -> Pass:
    """A pass over what was approved, with its shares of replay and of recombined rows."""
    kinds: Counter[RowKind] = Counter()
    needs = set()
    for row in rows:
        kinds[row.kind] += 1
        if row.kind == "correction":
            needs.add(row.group)
    pairs = sum(kinds[kind] for kind in TAUGHT)
    recombined = _share(kinds["recombined"], pairs, config.recombined_share)
    return Pass(
        pairs,
        replay=_share(kinds["replay"], pairs + recombined, config.replay_share),
        recombined=recombined,
        wordings=kinds["correction"] / len(needs) if needs else 0.0,
    )


def _share(there: int, pairs: int, share: float) -> int:
    return min(there, math.ceil(pairs * share))


@dataclass(frozen=True)
class Part:
    """Rows computed in one go, as one sequence of token ids.

    `segments[i]` is 0 for a token of the common beginning, else a number of its row, or of what a
    pair's two rows begin with; `above[i]` is the segment of that beginning, 0 for none. A token
    sees its own segment, the one above and 0. `label_at` are the indices whose next token is
    learned, `labels` those tokens, and `label_rows` the place in `rows` each belongs to.
    """

    rows: tuple[TrainRow, ...]
    ids: tuple[int, ...]
    positions: tuple[int, ...]
    segments: tuple[int, ...]
    above: tuple[int, ...]
    label_at: tuple[int, ...]
    labels: tuple[int, ...]
    label_rows: tuple[int, ...]

    @property
    def is_replay(self) -> bool:
        """Whether its rows hold the base in place instead of teaching."""
        return self.rows[0].kind == "replay"

    @property
    def is_thumb(self) -> bool:
        """Whether its rows are replies with a thumb, which are not learned word by word."""
        return self.rows[0].kind == "thumb"


def epochs(rows: Sequence[TrainRow], config: RoundConfig) -> Iterator[list[list[int]]]:
    """Epoch after epoch, each a list of steps, each a list of places in `rows`.

    A pair comes once an epoch, in its own words or in a variant's, and the two take turns: with
    `variant_share` 0.5 a pair is varied every second epoch. Replay rows and recombined ones each
    go round in turn. Thumbs come at least two to a step, because KTO measures them by each
    other.
    """
    pairs: dict[int, str] = {}
    thumbs: set[int] = set()
    others: dict[tuple[RowKind, str], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.kind in TAUGHT:
            pairs[place] = row.id
        else:
            others[row.kind, row.of or ""].append(place)
        if row.kind == "thumb":
            thumbs.add(place)
    size = one_pass(rows, config)
    beside = [(others["replay", ""], size.replay), (others["recombined", ""], size.recombined)]
    rng = random.Random(config.seed)
    for places, _ in beside:
        rng.shuffle(places)
    worded = [
        (place, others.get(("variant", id), ()), others.get(("raft", id), ()))
        for place, id in pairs.items()
    ]
    for epoch in range(size.times(config)):
        chosen = [
            _in_words(*own, turn, config, rng) for turn, own in enumerate(worded, start=epoch)
        ]
        for places, count in beside:
            chosen += [places[(epoch * count + turn) % len(places)] for turn in range(count)]
        rng.shuffle(chosen)
        yield _dealt(chosen, thumbs, size.steps(config))


def _dealt(chosen: Sequence[int], thumbs: Set[int], steps: int) -> list[list[int]]:
    """The places over so many steps, evenly but for thumbs, which come in twos and threes."""
    dealt: list[list[int]] = [[] for _ in range(steps)]
    judged = [place for place in chosen if place in thumbs]
    couples = max(1, len(judged) // 2)
    for number, place in enumerate(judged):
        dealt[number % couples % steps].append(place)
    emptiest = [(len(step), number) for number, step in enumerate(dealt)]
    heapify(emptiest)
    for place in (place for place in chosen if place not in thumbs):
        size, number = emptiest[0]
        dealt[number].append(place)
        heapreplace(emptiest, (size + 1, number))
    return dealt


def _in_words(
    pair: int,
    variants: Sequence[int],
    raft: Sequence[int],
    turn: int,
    config: RoundConfig,
    rng: random.Random,
) -> int:
    """The pair or another row of it: every 1/share-th turn, pairs out of step."""
    if raft and _falls(turn, config.raft_share):
        return rng.choice(raft)
    if variants and _falls(turn, config.variant_share):
        return rng.choice(variants)
    return pair


def _falls(turn: int, share: float) -> bool:
    return int((turn + 1) * share) > int(turn * share)


def mismatched(thumbs: Sequence[TrainRow]) -> list[TrainRow]:
    """Each row's prompt with another one's completion: the next that was asked something else.

    What KTO measures its reference point on (Ethayarajh et al. 2024, arXiv:2402.01306, section
    4.2). Where all were asked the same, the next one's.
    """
    found = []
    for place, row in enumerate(thumbs):
        after = [*thumbs[place + 1 :], *thumbs[:place]]
        other = next((one for one in after if one.prompt_ids != row.prompt_ids), after[0])
        ids = other.completion_ids
        found.append(replace(row, id=f"{row.id}|{other.id}", completion="", completion_ids=ids))
    return found


def parts(rows: Sequence[TrainRow], most_tokens: int, *, compare: bool = False) -> list[Part]:
    """The rows packed into parts of `most_tokens` at most; a longer row is a part of its own.

    Replay rows, thumbs and others do not share a part: their losses differ. With `compare` a row
    that has a wrong answer brings it along, as a `rejected` row right behind it in the same part.
    """
    rows = sorted(rows, key=lambda row: (_FAMILY.get(row.kind, 0), row.prompt_ids))
    packed: list[list[Unit]] = []
    for row in rows:
        unit = (row, _wrong(row)) if compare and row.rejected_ids else (row,)
        last = packed[-1] if packed else []
        same = last and _FAMILY.get(last[0][0].kind) == _FAMILY.get(row.kind)
        if same and _tokens([*last, unit]) <= most_tokens:
            last.append(unit)
        else:
            packed.append([unit])
    return [_part(units) for units in packed]


_FAMILY: dict[str, int] = {"thumb": 1, "replay": 2}


def _wrong(row: TrainRow) -> TrainRow:
    return replace(
        row,
        id=f"{row.id}|rejected",
        completion=row.rejected or "",
        completion_ids=row.rejected_ids,
        kind="rejected",
        of=row.id,
    )


def _shared(rows: Sequence[TrainRow]) -> int:
    """Tokens that all prompts begin with; each keeps one of its own, to answer from."""
    same = len(commonprefix([row.prompt_ids for row in rows]))
    return min(same, *(len(row.prompt_ids) - 1 for row in rows)) if len(rows) > 1 else 0


def _tokens(units: Sequence[Unit]) -> int:
    shared = _shared([row for unit in units for row in unit])
    return shared + sum(_own_tokens(unit, shared) for unit in units)


def _own_tokens(unit: Unit, shared: int) -> int:
    begun = max(shared, _shared(unit))
    own = sum(len(row.prompt_ids) + len(row.completion_ids) - 1 - begun for row in unit)
    return begun - shared + own


def _part(units: Sequence[Unit]) -> Part:
    rows = tuple(row for unit in units for row in unit)
    shared = _shared(rows)
    made = _Sequence(rows, shared)
    for unit in units:
        begun, above = max(shared, _shared(unit)), 0
        if begun > shared:
            above = made.add(unit[0].prompt_ids[shared:begun], shared, 0)
        for row in unit:
            made.answer(row, begun, above)
    return made.part()


class _Sequence:
    """A part while it is put together."""

    def __init__(self, rows: tuple[TrainRow, ...], shared: int) -> None:
        self._rows = rows
        self._ids = list(rows[0].prompt_ids[:shared])
        self._positions, self._segments = list(range(shared)), [0] * shared
        self._above = [0] * shared
        self._count = self._answered = 0
        self._label_at: list[int] = []
        self._labels: list[int] = []
        self._label_rows: list[int] = []

    def add(self, ids: Sequence[int], position: int, above: int) -> int:
        """A segment of its own; returns its number."""
        self._count += 1
        self._ids += ids
        self._positions += range(position, position + len(ids))
        self._segments += [self._count] * len(ids)
        self._above += [above] * len(ids)
        return self._count

    def answer(self, row: TrainRow, begun: int, above: int) -> None:
        """What a row has beyond the `begun` tokens that it shares, with its labels."""
        start = len(self._ids)
        # the last token answers nothing, so it need not be computed
        own = (*row.prompt_ids, *row.completion_ids)[begun:-1]
        self.add(own, begun, above)
        self._label_at += range(start + len(row.prompt_ids) - 1 - begun, start + len(own))
        self._labels += row.completion_ids
        self._label_rows += [self._answered] * len(row.completion_ids)
        self._answered += 1

    def part(self) -> Part:
        """All of it."""
        return Part(
            self._rows,
            *map(tuple, (self._ids, self._positions, self._segments, self._above)),
            *map(tuple, (self._label_at, self._labels, self._label_rows)),
        )
