"""What a round costs on this machine: learned from the last rounds here, assumed before the first.

Minutes follow the tokens of a pass, which is what a plan knows, so a measured round gives tokens of
its plan a second and not tokens computed: common beginnings and variants are in the figure.
"""

from dataclasses import dataclass
from statistics import median

from sqlite_utils import Database

from assistant.app import App
from assistant.engines.choose import has_cuda
from assistant.written import SHARE, Task
from storage.records import TuningRound
from storage.rounds import measured_trainings
from tuning.batches import Pass
from tuning.config import RoundConfig
from tuning.memory import training_bytes, unpacked_bytes, values_a_token

TOKENS_A_SECOND = {"cpu": 150.0, "cuda": 8000.0}
"""Training speed before a round was measured (135M base; two cores, one H200)."""
SAID_A_SECOND = {"cpu": 50.0, "cuda": 100.0}
"""Tokens a second that a model says, one request at a time (the first on two cores)."""
WRITTEN_TOKENS = 20
"""Tokens of a question that a round writes itself, and of the instruction to it."""
REST_MINUTES = 2.0
"""What is not training (asking the base, judging) before a round was measured."""


@dataclass(frozen=True)
class Pace:
    """What rounds on this machine do. `measured` counts the rounds it was learned from."""

    tokens_a_second: float
    rest_minutes: float
    peak_bytes: int
    measured: int

    @property
    def source(self) -> str:
        """Where the figures come from, in words."""
        if not self.measured:
            return "assumed: no round has been measured here"
        return f"by the last {self.measured} round{'s' * (self.measured > 1)} here"


def pace(app: App, db: Database, config: RoundConfig, runner: str = "local") -> Pace:
    """By the runner's last rounds on this base with this method, else with any method."""
    done = measured_trainings(db, app.base.fingerprint, runner=runner)
    found = [one for one in done if _speed(one)]
    same = [one for one in found if one.config.get("method") == config.method]
    used = same or found
    assumed = TOKENS_A_SECOND["cuda" if has_cuda() else "cpu"]
    peaks = [
        one.scores.get("peak_rss_bytes") or 0
        for one in same
        if one.config.get("step_tokens") == config.step_tokens
    ]
    return Pace(
        tokens_a_second=median(map(_speed, used)) if used else assumed,
        rest_minutes=median(map(_rest, used)) if used else REST_MINUTES,
        peak_bytes=max(peaks, default=0) or assumed_bytes(app, config),
        measured=len(used),
    )


def training_minutes(config: RoundConfig, found: Pace, tokens: int, size: Pass) -> float:
    """Minutes of training if no budget ends it; less when the pairs are learned early."""
    return tokens * size.times(config) / found.tokens_a_second / 60


def writing_minutes(task: Task | None, config: RoundConfig, found: Pace) -> float:
    """Minutes in which a round writes wordings itself: its writer's training, and asking it."""
    if task is None:
        return 0.0
    # a writer's row: a short instruction, the answer, the question
    tokens = sum(len(one.completion_ids) + WRITTEN_TOKENS * 2 for one in task.taught)
    learning = tokens * task.passes(config) / found.tokens_a_second / 60
    saying = "cuda" if has_cuda() else "cpu"
    asking = [n * WRITTEN_TOKENS / SAID_A_SECOND[saying] / 60 for n in (task.samples, task.queries)]
    return sum(min(minutes, config.max_minutes * SHARE) for minutes in (learning, *asking))


def assumed_bytes(app: App, config: RoundConfig) -> int:
    """Bytes on a CPU; see `training_bytes`."""
    folder = app.base.folder
    return training_bytes(unpacked_bytes(folder), values_a_token(folder), config)


def _speed(done: TuningRound) -> float:
    """Tokens of its plan a second; 0.0 for a round that does not say."""
    training, tokens = done.scores["training"], done.config.get("tokens_a_pass", 0)
    return float(tokens * training["epochs"] / training["seconds"])


def _rest(done: TuningRound) -> float:
    """Minutes that were not training; none are known of a round that was resumed."""
    return max(0.0, float(done.scores["seconds"] - done.scores["training"]["seconds"]) / 60)
