"""How far a training run is: the steps to come, what is learned, the rate, when to stop. No torch.

On few corrections the loss must really come down, which takes many epochs at a high rate, and a
run on somebody's office machine must end when its minutes do. So the rate follows a cosine over
the planned steps or the minutes, whichever are spent sooner, and once the pairs are learned it
comes down over the next few epochs and training ends.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.errors import ApprenticeError
from tuning.batches import Part, epochs, one_pass, parts
from tuning.bundle import TAUGHT, TrainRow
from tuning.config import RoundConfig

COOL_DOWN_EPOCHS = 3
"""Epochs over which the rate comes down once the pairs are learned."""
THUMBS_LEARNED = 0.3
"""Mean KTO loss of a thumb below which thumbs count as learned; it begins at 0.5. A reply that the
base gave of its own accord can hardly become likelier, so the thumbs up stay near 0.4."""
WARM_UP_STEPS = 5
"""Steps in which the rate rises from 0: Adam's first estimates are rough."""


class TrainingFailed(ApprenticeError):
    """The training cannot go on; the sentence says why."""


@dataclass(frozen=True)
class TrainResult:
    """What a run came to. `losses`: per epoch, in nats a learned token. `seconds` of steps alone.

    `learned` counts the pairs of which every token was the likeliest when they were last seen in
    their own words, and the thumbs whose reply had moved the way they point.
    """

    steps: int
    epochs: float
    losses: tuple[float, ...]
    learned: int
    pairs: int
    seconds: float
    tokens: int
    stopped: str
    peak_rss_bytes: int = 0
    sentinel: Mapping[str, Any] | None = None
    """The fields of `sentinel.Forgetting`; None when the bundle has nothing to measure it by."""


class Course:
    """One run's progress. `clock` gives seconds."""

    def __init__(
        self,
        rows: Sequence[TrainRow],
        config: RoundConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._rows = rows
        size = one_pass(rows, config)
        self.pairs = size.pairs
        self._thumbs = {row.id: bool(row.label) for row in rows if row.kind == "thumb"}
        self.steps_an_epoch = size.steps(config)
        self.steps = self.steps_an_epoch * size.times(config)
        self.stopped = "all epochs done"
        self._to_come = (step for epoch in epochs(rows, config) for step in epoch)
        self._clock = clock
        self._started = clock()
        self._seconds_before = 0.0
        self._tokens = 0
        self._own_losses: dict[str, float] = {}
        self._exact: dict[str, bool] = {}
        self._step_losses: list[float] = []
        self._cooling: tuple[int, float] | None = None

    def start(self) -> None:
        """Starts the clock: minutes are minutes of training, not of loading."""
        self._started = self._clock() - self._seconds_before

    def state(self) -> dict[str, Any]:
        """How far it is, as plain values for `restore`."""
        return {
            "losses": self._step_losses,
            "own_losses": self._own_losses,
            "exact": self._exact,
            "cooling": self._cooling,
            "tokens": self._tokens,
            "seconds": self.seconds,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where a course of the same rows and config was; call it before any step.

        Raises StopIteration when there are more steps behind than this course has.
        """
        for _ in state["losses"]:
            next(self._to_come)
        self._step_losses = list(state["losses"])
        self._own_losses, self._exact = dict(state["own_losses"]), dict(state["exact"])
        self._cooling = tuple(state["cooling"]) if state["cooling"] else None
        self._tokens, self._seconds_before = state["tokens"], state["seconds"]

    def next_parts(self, at_least: int = 1) -> list[Part]:
        """The parts of the next step, `at_least` so many where its rows can be cut so."""
        compare, tokens = self.config.objective == "dpo", self.config.step_tokens
        step = [self._rows[place] for place in next(self._to_come)]
        found = parts(step, tokens, compare=compare)
        while len(found) < at_least and tokens > 1:
            tokens //= 2
            found = parts(step, tokens, compare=compare)
        return found

    def saw(self, part: Part, losses: Sequence[float], exact: Sequence[bool]) -> None:
        """Takes in, for each row of the part, its mean loss and whether all of it was likeliest.

        Of a thumb: its KTO loss, and whether the reply moved the way it points.
        """
        self._tokens += len(part.ids)
        for row, loss, right in zip(part.rows, losses, exact, strict=True):
            if row.kind in TAUGHT:
                self._own_losses[row.id], self._exact[row.id] = loss, right

    def end_step(self, loss: float) -> None:
        """Closes a step with its mean loss; raises TrainingFailed when that is no number."""
        self._step_losses.append(loss)
        step = self.step
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"The loss became {loss} at step {step} and the adapter was thrown away. "
                f"Start again with a learning rate below {self.config.peak_rate:g}."
            )
        if self._cooling is None and self._all_learned():
            self._cooling = (step, self.rate(step))

    def check_gradient(self, norm: float) -> None:
        """Raises TrainingFailed when a gradient is no number: the weights would be none either."""
        if not math.isfinite(norm):
            raise TrainingFailed(
                f"The gradient became {norm} at step {self.step} and the adapter was thrown away. "
                f"Start again with a learning rate below {self.config.learning_rate:g}."
            )

    def rate(self, step: int) -> float:
        """The learning rate after `step` steps, as a share of the peak."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self._spent(step))))
        if self._cooling is not None:
            since, rate = self._cooling
            cosine = min(cosine, rate * max(0.0, 1 - (step - since) / self._cool_down))
        return min(1.0, (step + 1) / WARM_UP_STEPS) * cosine

    def done(self) -> bool:
        """Whether training ends here."""
        step = self.step
        if self._cooling is not None and step >= self._cooling[0] + self._cool_down:
            self.stopped = "learned"
        elif self._minutes_spent() >= 1 and step < self.steps:
            self.stopped = "time is up"
        else:
            return step >= self.steps
        return True

    @property
    def step(self) -> int:
        """Steps behind."""
        return len(self._step_losses)

    @property
    def learned(self) -> int:
        """Pairs and thumbs that are as wanted, by when they were last seen in their own words."""
        return sum(self._exact.values())

    @property
    def thumb_weights(self) -> tuple[float, float]:
        """What a thumb up and a thumb down count, so that both kinds count the same together.

        Within what the KTO paper recommends (arXiv:2402.01306, section 4.2); the rarer counts more.
        """
        ups = sum(self._thumbs.values())
        downs = len(self._thumbs) - ups
        return max(1.0, downs / max(1, ups)), max(1.0, ups / max(1, downs))

    @property
    def last_loss(self) -> float:
        """Mean loss of the last step."""
        return self._step_losses[-1]

    @property
    def share_done(self) -> float:
        """How much of the run is behind, 0 to 1: of its steps, its minutes, or its cooling down."""
        step = self.step
        cooled = (step - self._cooling[0]) / self._cool_down if self._cooling is not None else 0.0
        return min(1.0, max(self._spent(step), cooled))

    @property
    def seconds(self) -> float:
        """Seconds of training, those before an interruption included."""
        return round(self._clock() - self._started, 2)

    def result(self) -> TrainResult:
        """The figures of the run so far."""
        size, losses = self.steps_an_epoch, self._step_losses
        epoch_losses = [losses[start : start + size] for start in range(0, len(losses), size)]
        return TrainResult(
            steps=len(losses),
            epochs=round(len(losses) / size, 2),
            losses=tuple(round(sum(epoch) / len(epoch), 5) for epoch in epoch_losses),
            learned=self.learned,
            pairs=self.pairs,
            seconds=self.seconds,
            tokens=self._tokens,
            stopped=self.stopped,
        )

    @property
    def _cool_down(self) -> int:
        return COOL_DOWN_EPOCHS * self.steps_an_epoch

    def _all_learned(self) -> bool:
        if len(self._own_losses) < self.pairs:
            return False
        thumbs = [loss for id, loss in self._own_losses.items() if id in self._thumbs]
        others = [loss for id, loss in self._own_losses.items() if id not in self._thumbs]
        return all(
            sum(losses) / len(losses) < enough
            for losses, enough in ((thumbs, THUMBS_LEARNED), (others, self.config.learned_loss))
            if losses
        )

    def _spent(self, step: int) -> float:
        return max(step / self.steps, self._minutes_spent())

    def _minutes_spent(self) -> float:
        return (self._clock() - self._started) / (60 * self.config.max_minutes)
