"""What a round may be told. Few dials; each default was measured or has its reason beside it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from storage.errors import BadInput

Method = Literal["auto", "qlora", "lora", "dora", "rslora", "ia3", "bottleneck"]
PEAK_RATES: dict[Method, float] = {
    "auto": 1e-3,
    "qlora": 1e-3,
    "lora": 1e-3,
    "dora": 1e-3,
    "rslora": 2.5e-4,
    "ia3": 1e-2,
    "bottleneck": 3e-3,
}
"""A tenth of LoRA's leaves few pairs unlearned after the same minutes. rsLoRA's matrices count 4
times as much at rank 16. IA3's factors begin at one and must move by tenths. 3e-3 is the highest
rate that Houlsby et al. 2019 tried for bottlenecks, and rounds are short."""
Objective = Literal["auto", "sft", "dpo", "kto"]


@dataclass(frozen=True)
class RoundConfig:
    """The dials of one round; a round keeps its own in the bundle's `config.json`."""

    method: Method = "auto"
    """`qlora` trains over a packed base, the others over the base as it is. `auto` leaves it to
    the plan of the round: `qlora` or `lora`, the one whose base is the base that serves."""
    quantization: Literal["nf4", "int8"] = "nf4"
    """How `qlora` holds the base: an eighth of fp32's bytes, or a quarter and nearer to it."""
    objective: Objective = "auto"
    """`sft` teaches the correction itself, `dpo` also sets it against the answer that it corrected,
    `kto` adds what thumbs alone say. `auto` leaves it to the plan, which goes by what there is."""
    beta: float = 0.1
    """How tightly `dpo` and `kto` hold to the base; both papers' and TRL's value."""
    rank: int = 16
    """Rank of the adapter's matrices: what it can hold against its size."""
    alpha: int = 32
    """Scale of the adapter; twice the rank is the common choice."""
    target_modules: str = "all-linear"
    """`all-linear`, or names of modules separated by commas. `ia3` and `bottleneck` take
    `all-linear` for the places that their papers name."""
    width: int = 64
    """Values in the middle of a `bottleneck` adapter; Houlsby et al. took 8 to 256."""
    placement: Literal["pfeiffer", "houlsby"] = "pfeiffer"
    """A `bottleneck` adapter after the feed-forward network, or after the attention as well."""
    layers: float = 1.0
    """Share of the base's layers that get the adapter, counted from the top."""
    learning_rate: float = 0.0
    """Peak rate; 0 takes the method's own, see `peak_rate`."""
    epochs: int = 0
    """Passes over the pairs at most; training stops earlier when they are learned. 0 takes 13,
    and as many more as it takes to make 156 steps of few pairs and to see a need 26 times."""
    batch_size: int = 8
    """Pairs a step, replay among them. Steps of 16 took 22 passes to learn as much as 13 do."""
    step_tokens: int = 768
    """Tokens computed at once; a step is cut into parts of this size, which bounds memory."""
    learned_loss: float = 0.006
    """Pairs count as learned when an epoch's mean loss (nats a token) is below this."""
    variant_share: float = 0.7
    """Share of the turns in which a pair is shown in varied wording instead of its own."""
    raft_share: float = 0.2
    """Share of the turns in which a pair with passages is shown without them, or with others among
    them. The RAFT paper left the right document out of none to 60% of its rows, by data set; here
    half of these turns lack it."""
    replay_share: float = 0.5
    """Replay rows (what the base says to ordinary questions), as a share of the pairs and of the
    queries put together anew."""
    wordings: int = 6
    """Other wordings that the round writes of a need that was taught in one or two, where answers
    are exact (a check of type `sql` or `json`); about half of them are kept. 0: none."""
    recombined_share: float = 1.0
    """Queries put together anew from taught ones, with questions that the round writes, as a share
    of the pairs; only where an `sql` check has a database. 0: none."""
    earlier_share: float = 0.3
    """Where an adapter is taught on: share of what it learned before that is trained again."""
    max_minutes: float = 60.0
    """Minutes of training at most; the rate has come down to zero by then."""
    checkpoint_steps: int = 100
    """Steps between two checkpoints at most; a minute brings one too."""
    threads: int = 0
    """Threads to train with; 0 takes every core."""
    seed: int = 7
    """Order of the pairs, their variants and the adapter's first weights."""
    gate_risk: float = 0.05
    """Chance the gate takes of promoting an adapter that is no better (one-sided sign test)."""
    gate_many: int = 30
    """Needs on new wordings from which the gain's bootstrap interval must lie above 0 too. With
    fewer its bounds are too narrow (Efron and Tibshirani 1993, chapter 14), so the gate states the
    error rates of its sign rule instead."""
    gate_power: float = 0.8
    """Chance with which the number of needs that the gate asks for shows the gain it saw."""
    previous_lost: float = 0.1
    """Share of the new wordings that may go from right to wrong; losing more than chance gives at
    this share (`gate_risk`) is a veto, whatever was won: two rounds on the same pairs differ by a
    case or three of 13. A share of what was right would veto any gain over a server that has hardly
    anything right: of adapters that win 60% and lose 5% of 60 needs it let a quarter pass."""
    sentinel_keep: float = 0.9
    """Share of the general questions the base answers right that must stay right."""
    sentinel_nats: float = 0.02
    """Nats a token that the base's right answers to the general items may lose on average: 2% of
    their likelihood, which greedy decoding hardly ever shows."""
    sentinel_lost: float = 0.05
    """Share of those answers that may be lost, as the upper 95% bound: 500 items, 400 of them right
    by the base, allow 12 to go."""

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"{name} is {value}; a round takes {low} to {high}.")

    @property
    def peak_rate(self) -> float:
        """The highest learning rate of the round: `learning_rate`, or the method's own."""
        return self.learning_rate or PEAK_RATES[self.method]

    def to_json(self) -> dict[str, Any]:
        """The dials as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RoundConfig":
        """The config with these dials set and the others at their defaults.

        Text is read by the dial's type, so that `--set rank=8` works. Raises BadInput naming an
        unknown dial or a value that does not fit.
        """
        fields = {field.name: field.type for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise BadInput(f"A round has no setting {unknown[0]!r}; it has {', '.join(fields)}.")
        return cls(**{name: _read(name, fields[name], value) for name, value in values.items()})


BOUNDS: dict[str, tuple[float, float]] = {
    "rank": (1, 256),
    "alpha": (1, 1024),
    "layers": (0.01, 1.0),
    "width": (1, 4096),
    "learning_rate": (0.0, 1.0),
    "epochs": (0, 10_000),
    "batch_size": (1, 1024),
    "step_tokens": (16, 1_000_000),
    "learned_loss": (0.0, 100.0),
    "variant_share": (0.0, 1.0),
    "raft_share": (0.0, 1.0),
    "beta": (0.001, 10.0),
    "replay_share": (0.0, 10.0),
    "wordings": (0, 64),
    "recombined_share": (0.0, 10.0),
    "earlier_share": (0.0, 1.0),
    "max_minutes": (0.01, 100_000.0),
    "checkpoint_steps": (1, 1_000_000),
    "threads": (0, 1024),
    "gate_risk": (0.0001, 0.5),
    "gate_many": (1, 1_000_000),
    "gate_power": (0.5, 0.99),
    "previous_lost": (0.0, 1.0),
    "sentinel_keep": (0.0, 1.0),
    "sentinel_nats": (0.0, 100.0),
    "sentinel_lost": (0.0, 1.0),
}


def _read(name: str, kind: Any, value: Any) -> Any:
    """`value` as the dial's type, or BadInput."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise BadInput(f"{name} is {value!r}; a round takes {' or '.join(get_args(kind))}.")
        return value
    if isinstance(value, bool) or (kind is int and isinstance(value, float) and value % 1):
        raise BadInput(f"{name} is {value!r}; a round takes a {kind.__name__}.")
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise BadInput(f"{name} is {value!r}; a round takes a {kind.__name__}.") from None
