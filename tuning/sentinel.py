"""The general questions that show forgetting, and what an adapter has lost of them. Pure.

`sentinel.jsonl` holds short items written for this purpose: {"id", "kind", "question", "expected",
"wrong", "check"?, "asked"?}. All are scored by likelihood: an item is right when the expected
answer is likelier, a token, than each wrong one. The 60 with `asked` are answered too, by the
engine that will serve, and judged by their `check`. Both sides of every figure are the same items
(paired), so what the base cannot do counts for nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Kind = Literal[
    "knowledge", "arithmetic", "common sense", "instruction following", "format", "refusal"
]
KINDS: tuple[str, ...] = get_args(Kind)
FILE = Path(__file__).with_suffix(".jsonl")


@dataclass(frozen=True)
class SentinelItem:
    """One question with the answer that is right and one to three that are not."""

    id: str
    kind: Kind
    question: str
    expected: str
    wrong: tuple[str, ...]
    check: Mapping[str, Any] = field(default_factory=lambda: {"type": "contains"})
    asked: bool = False
    """Whether it is also answered, greedily, by the serving engine."""


@dataclass(frozen=True)
class Choice:
    """An item as a finished prompt with its options as token ids, the expected one first."""

    id: str
    kind: str
    prompt_ids: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Kept:
    """Of `items`, what the base has right and how many of those the candidate has wrong.

    `nats_lost` is the mean, over the items the base has right, of what the expected answer's
    log-probability a token fell from base to candidate, in nats; below 0 it rose.
    """

    items: int
    base_right: int
    lost: int
    nats_lost: float


@dataclass(frozen=True)
class Forgetting(Kept):
    """All items together, each kind by itself, and which were lost."""

    kinds: Mapping[str, Kept] = field(default_factory=dict)
    lost_ids: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read_items(path: Path = FILE) -> list[SentinelItem]:
    """The items of a file of JSON lines, in its order."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [SentinelItem(**{**row, "wrong": tuple(row["wrong"])}) for row in rows]


def compare(
    choices: Sequence[Choice], base: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]
) -> Forgetting:
    """What the candidate has lost; both sides give each option's mean log-probability a token."""
    rows = [
        (choice, before[0] > max(before[1:]), after[0] > max(after[1:]), before[0] - after[0])
        for choice, before, after in zip(choices, base, candidate, strict=True)
    ]
    kinds = sorted({choice.kind for choice in choices}, key=_order)
    return Forgetting(
        **asdict(_kept(rows)),
        kinds={kind: _kept([row for row in rows if row[0].kind == kind]) for kind in kinds},
        lost_ids=tuple(choice.id for choice, right, kept, _ in rows if right and not kept),
    )


def in_words(nats_lost: float) -> str:
    """What a token's log-probability lost, or gained where that is below 0."""
    return f"{'gained' if nats_lost < 0 else 'lost'} {abs(nats_lost):.3f} nats"


def _order(kind: str) -> tuple[int, str]:
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), kind)


def _kept(rows: Sequence[tuple[Choice, bool, bool, float]]) -> Kept:
    right = [row for row in rows if row[1]]
    return Kept(
        items=len(rows),
        base_right=len(right),
        lost=sum(not kept for _, _, kept, _ in right),
        nats_lost=round(sum(fell for *_, fell in right) / len(right), 5) if right else 0.0,
    )
