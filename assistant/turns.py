"""A round waits for its turn on this machine, and gives it away while it trains on another one."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from storage import jobs, rounds
from storage.records import TuningRound
from storage.turns import give_turn, take_turn, take_turn_back
from tuning.child import RoundCancelled, Said
from tuning.runners.protocol import Runner

TURN_S = 0.5
"""How often a round that waits for another one looks whether it is its turn."""


def wait_for_turn(db: Database, queued: TuningRound) -> None:
    """Until the round has started. Raises RoundCancelled when it is called off before."""
    while take_turn(db, queued.id, os.getpid()) is not None:
        if jobs.job(db, queued.job_id).cancel_requested:
            rounds.finish_round(db, queued.id, state="cancelled")
            raise RoundCancelled(f"Round {queued.id} was cancelled while it waited.")
        time.sleep(TURN_S)


class GivesTurn:
    """A runner that trains elsewhere. Rounds of many workspaces train beside each other there; what
    they compute here, to begin and to be judged, they do one at a time, as all rounds."""

    def __init__(self, runner: Runner, db: Database, queued: TuningRound) -> None:
        self._runner, self._db, self._round = runner, db, queued

    @property
    def name(self) -> str:
        """The runner's own."""
        return self._runner.name

    def ready(self) -> str:
        """See `Runner.ready`."""
        return self._runner.ready()

    def place(self, bundle: Path) -> str:
        """See `Runner.place`."""
        return self._runner.place(bundle)

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
        """See `Runner.train`; returns once the round has its turn again."""
        with away(self._db, self._round, cancelled):
            return self._runner.train(
                bundle,
                out,
                model_folder,
                on_progress=on_progress,
                cancelled=cancelled,
                options=options,
            )


@contextmanager
def away(db: Database, item: TuningRound, cancelled: Callable[[], bool]) -> Iterator[None]:
    """A running round works on another machine; left in peace, it waits until it may go on here.

    Raises RoundCancelled when `cancelled()` while it waits.
    """
    give_turn(db, item.id)
    yield
    while (said := take_turn_back(db, item.id)) is not None:
        if cancelled():
            raise RoundCancelled("The round was cancelled while it waited to be judged.")
        jobs.beat(db, item.job_id, jobs.job(db, item.job_id).progress, f"back here, {said}")
        time.sleep(TURN_S)
