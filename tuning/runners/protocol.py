"""What a runner is: it trains a bundle somewhere and leaves an adapter and its figures here.

`local` is a child process, `accelerate` several of them, `hf-jobs` a machine of Hugging Face, `ray`
a node of a cluster. What a runner leaves in `out` is the same: `adapter/`, `training.json`,
`train.log`, and while training is not done the checkpoints, so that a round may go on with another
runner than it began with.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tuning.child import Said


class Runner(Protocol):
    """One place to train in."""

    @property
    def name(self) -> str:
        """What `tune --runner` calls it."""

    def ready(self) -> str:
        """Where it trains, in words, for the plan.

        Raises BadInput or Refused, with the remedy, when what it needs is missing.
        """

    def place(self, bundle: Path) -> str:
        """Where the bundle goes, which holds what people wrote; "": it stays on this machine."""

    def train(
        self,
        bundle: Path,
        out: Path,
        model_folder: Path,
        *,
        on_progress: Callable[[Said], None],
        cancelled: Callable[[], bool],
        options: Sequence[str] = (),
    ) -> Said:
        """Trains the bundle into `out`; returns the fields of `course.TrainResult`.

        `options` are those of `python -m tuning.run`: with `--resume` it goes on from the last
        complete checkpoint in `out`. `on_progress` gets what `train.train` says after each step,
        and notes. Raises RoundCancelled soon after `cancelled()`, MemoryRanOut when it needed too
        much, else RoundFailed with one sentence.
        """
