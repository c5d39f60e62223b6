"""The runner `local`: a child process of this machine, `python -m tuning.run BUNDLE OUT`."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tuning.child import (
    LOG,
    SILENCE_SECONDS,
    MemoryRanOut,
    RoundFailed,
    Said,
    sayings,
    started,
)
from tuning.memory import kernel_kills

PROGRAM = ["-m", "tuning.run"]
HELD_BY_ONE = 0.5
"""Share of the machine's memory that, held by a child that was killed, says why it was."""


class Local:
    """Trains in a child process; everywhere, and the default."""

    name = "local"

    def ready(self) -> str:
        """It needs nothing."""
        return "trains in a process of this machine"

    def place(self, bundle: Path) -> str:
        """It stays here."""
        return ""

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
        """See `Runner.train`."""
        return train_in_child(
            bundle,
            out,
            model_folder,
            on_progress=on_progress,
            cancelled=cancelled,
            options=options,
        )


def train_in_child(
    bundle: Path,
    out: Path,
    model_folder: Path,
    *,
    on_progress: Callable[[Said], None],
    cancelled: Callable[[], bool],
    options: Sequence[str] = (),
    silence_seconds: float = SILENCE_SECONDS,
) -> Said:
    """Runs `python -m tuning.run BUNDLE OUT --model FOLDER *options` and follows it to its end.

    Returns what training came to (the fields of `TrainResult`). Raises RoundCancelled when
    `cancelled()`, MemoryRanOut when it needed too much, else RoundFailed with the child's own
    sentence or how it died.
    """
    arguments = [*PROGRAM, str(bundle), str(out), "--model", str(model_folder)]
    return followed(
        [*arguments, "--parent", str(os.getpid()), *options],
        out,
        on_progress=on_progress,
        cancelled=cancelled,
        silence_seconds=silence_seconds,
    )


def followed(
    arguments: Sequence[str],
    out: Path,
    *,
    on_progress: Callable[[Said], None],
    cancelled: Callable[[], bool],
    silence_seconds: float = SILENCE_SECONDS,
) -> Said:
    """Runs this Python with `arguments`, a training child, and follows it to its end.

    Its log is `out/train.log`. Returns and raises as `train_in_child`.
    """
    out.mkdir(parents=True, exist_ok=True)
    kills = kernel_kills()
    with (out / LOG).open("ab") as log, started([sys.executable, *arguments], log) as child:
        last: Said = {}
        for said in sayings(child, out / LOG, cancelled, silence_seconds):
            if "result" in said:
                child.wait()
                return dict(said["result"])
            if "error" in said:
                kind = MemoryRanOut if said.get("memory") else RoundFailed
                raise kind(said["error"])
            if "death" in said:
                raise _death(said["death"], last, out / LOG, kernel_kills() > kills)
            most = max(last.get("rss_bytes", 0), said.get("rss_bytes", 0))
            last.update(said, rss_bytes=most)
            if "step" in said or "note" in said:
                on_progress(said)
        raise _death(child.wait(), last, out / LOG, kernel_kills() > kills)


def _death(code: int, last: Said, log: Path, by_kernel: bool) -> RoundFailed:
    """What to raise for a child that ended without a word."""
    held = last.get("rss_bytes", 0)
    memory = f"; it held {held / 1e9:.1f} GB" if held else ""
    step = f" after step {last['step']}" if "step" in last else " before its first step"
    if code == -signal.SIGKILL:
        said = (
            f"The training process was killed{step}{memory}. If nobody killed it, memory ran "
            "out: lower step_tokens, or end other programs, and start again."
        )
        too_much = by_kernel or held > HELD_BY_ONE * psutil.virtual_memory().total
        return MemoryRanOut(said) if too_much else RoundFailed(said)
    how = f"signal {-code}" if code < 0 else f"code {code}"
    return RoundFailed(f"Training ended with {how}{step}{memory}; its last words are in {log}.")
