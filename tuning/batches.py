"""What a step computes: which rows, in which words, packed how. Pure.

Rows of a round begin alike (instructions, template), so a part holds that beginning once, with the
rest of each row behind it: no token of a row sees another row, the figures are those of separate
rows, and nothing is padded. On the sample company this halves the tokens of a step.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from tuning.bundle import TrainRow
from tuning.config import RoundConfig

PASSES = 13
LEAST_STEPS = 156
"""Both are what the 62 training pairs of the sample company take to be learned with room to spare;
few pairs make few steps a pass, and steps are what a model learns by."""


@dataclass(frozen=True)
class Part:
    """Rows computed in one go, as one sequence of token ids.

    `segments[i]` is 0 for a token of the common beginning, else the number of its row from 1.
    `label_at` are the indices whose next token is learned, `labels` those tokens, and
    `label_rows` the place in `rows` each belongs to.
    """

    rows: tuple[TrainRow, ...]
    ids: tuple[int, ...]
    positions: tuple[int, ...]
    segments: tuple[int, ...]
    label_at: tuple[int, ...]
    labels: tuple[int, ...]
    label_rows: tuple[int, ...]

    @property
    def is_replay(self) -> bool:
        """Whether its rows hold the base in place instead of teaching."""
        return self.rows[0].kind == "replay"


def steps_an_epoch(rows: Sequence[TrainRow], config: RoundConfig) -> int:
    """Optimiser steps in one pass over the pairs with their share of replay rows."""
    pairs = sum(row.kind == "correction" for row in rows)
    return math.ceil((pairs + _replayed(rows, pairs, config)) / config.batch_size)


def passes(steps_a_pass: int, config: RoundConfig) -> int:
    """How often training goes over the pairs at most, when a pass has so many steps."""
    return config.epochs or max(PASSES, math.ceil(LEAST_STEPS / max(1, steps_a_pass)))


def epochs(rows: Sequence[TrainRow], config: RoundConfig) -> Iterator[list[list[TrainRow]]]:
    """Epoch after epoch, each a list of steps, each a list of rows.

    A pair comes once an epoch, in its own words or in a variant's, and the two take turns: with
    `variant_share` 0.5 a pair is varied every second epoch. The replay rows go round in turn.
    """
    pairs = [row for row in rows if row.kind == "correction"]
    variants: dict[str, list[TrainRow]] = defaultdict(list)
    for row in rows:
        if row.kind == "variant" and row.of is not None:
            variants[row.of].append(row)
    replay = [row for row in rows if row.kind == "replay"]
    count = _replayed(rows, len(pairs), config)
    rng = random.Random(config.seed)
    rng.shuffle(replay)
    for epoch in range(passes(steps_an_epoch(rows, config), config)):
        chosen = [
            _in_words(pair, variants[pair.id], index, epoch, config, rng)
            for index, pair in enumerate(pairs)
        ]
        chosen += [replay[(epoch * count + place) % len(replay)] for place in range(count)]
        rng.shuffle(chosen)
        steps = math.ceil(len(chosen) / config.batch_size)
        yield [chosen[step::steps] for step in range(steps)]


def _replayed(rows: Sequence[TrainRow], pairs: int, config: RoundConfig) -> int:
    replay = sum(row.kind == "replay" for row in rows)
    return min(replay, math.ceil(pairs * config.replay_share))


def _in_words(
    pair: TrainRow,
    variants: Sequence[TrainRow],
    index: int,
    epoch: int,
    config: RoundConfig,
    rng: random.Random,
) -> TrainRow:
    """The pair or one of its variants: every 1/share-th turn varied, pairs out of step."""
    turn = epoch + index
    varied = int((turn + 1) * config.variant_share) > int(turn * config.variant_share)
    return rng.choice(variants) if varied and variants else pair


def parts(rows: Sequence[TrainRow], most_tokens: int) -> list[Part]:
    """The rows packed into parts of `most_tokens` at most; a longer row is a part of its own.

    Replay rows and others do not share a part: their losses differ.
    """
    rows = sorted(rows, key=lambda row: (row.kind == "replay", row.prompt_ids))
    packed: list[list[TrainRow]] = []
    for row in rows:
        same_kind = packed and (packed[-1][0].kind == "replay") == (row.kind == "replay")
        if same_kind and _tokens([*packed[-1], row]) <= most_tokens:
            packed[-1].append(row)
        else:
            packed.append([row])
    return [_part(group) for group in packed]


def _shared(rows: Sequence[TrainRow]) -> int:
    """Tokens that all prompts begin with; each keeps one of its own, to answer from."""
    same = len(commonprefix([row.prompt_ids for row in rows]))
    return min(same, *(len(row.prompt_ids) - 1 for row in rows)) if len(rows) > 1 else 0


def _tokens(rows: Sequence[TrainRow]) -> int:
    shared = _shared(rows)
    own = sum(len(row.prompt_ids) + len(row.completion_ids) - 1 - shared for row in rows)
    return shared + own


def _part(rows: Sequence[TrainRow]) -> Part:
    shared = _shared(rows)
    ids = list(rows[0].prompt_ids[:shared])
    positions, segments = list(range(shared)), [0] * shared
    label_at: list[int] = []
    labels: list[int] = []
    label_rows: list[int] = []
    for number, row in enumerate(rows):
        whole = (*row.prompt_ids, *row.completion_ids)
        # the last token answers nothing, so it need not be computed
        own = whole[shared:-1]
        start = len(ids)
        first = start + len(row.prompt_ids) - 1 - shared
        label_at += range(first, start + len(own))
        labels += row.completion_ids
        label_rows += [number] * len(row.completion_ids)
        ids += own
        positions += range(shared, shared + len(own))
        segments += [number + 1] * len(own)
    return Part(tuple(rows), *map(tuple, (ids, positions, segments, label_at, labels, label_rows)))
