"""Training that survives: it goes on from what is there, and with less where memory runs out.

Only the tokens computed at once are halved. A step keeps its pairs, so it learns the same, and the
pairs of a step take no memory: its parts are computed one after the other.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tuning.adapter_files import AdapterRefused, verify_adapter
from tuning.bundle import Bundle
from tuning.child import MemoryRanOut, RoundFailed, Said
from tuning.runners.local import Local
from tuning.runners.protocol import Runner

ADAPTER = "adapter"
"""Folder of the candidate, inside the round's out folder."""
TRAINING = "training.json"
"""What training came to, beside the candidate: the fields of `course.TrainResult`."""
RETRIES = 2
"""Times that a training whose memory ran out is tried with half the tokens at once."""
LEAST_TOKENS = 16
"""Tokens at once under which halving is no use: a dial's lower bound."""


def train_supervised(
    bundle: Bundle,
    out: Path,
    model_folder: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    runner: Runner | None = None,
    on_progress: Callable[[Said], None],
    cancelled: Callable[[], bool],
) -> tuple[str, ...]:
    """Trains the bundle by `runner` (`local` if None) into `out`; returns notes for people.

    With `resume` a finished training in `out` is taken as it is. `on_progress` gets each note as
    {"note": ...} too. Raises what `Runner.train` raises, after the last retry with the notes.
    """
    if resume and _finished(bundle, out):
        return ("The training had ended before; only the evaluation was done again.",)
    by: Runner = runner or Local()
    notes: list[str] = []
    tokens = bundle.config.step_tokens
    options = ["--start", str(start)] if start else []
    while True:
        try:
            more = ["--resume"] if resume or notes else []
            more += ["--step-tokens", str(tokens)] if notes else []
            by.train(
                bundle.folder,
                out,
                model_folder,
                on_progress=on_progress,
                cancelled=cancelled,
                options=[*options, *more],
            )
            return tuple(notes)
        except MemoryRanOut as error:
            if len(notes) == RETRIES or tokens // 2 < LEAST_TOKENS:
                raise RoundFailed(" ".join([*notes, str(error)])) from error
            notes.append(f"Memory ran out at {tokens} tokens a step; went on with {tokens // 2}.")
            tokens //= 2
            on_progress({"note": notes[-1]})


def _finished(bundle: Bundle, out: Path) -> bool:
    """Whether training had ended in `out`; an adapter there that does not verify goes."""
    if not (out / ADAPTER).is_dir():
        return False
    try:
        manifest = verify_adapter(out / ADAPTER, bundle.base_fingerprint)
    except AdapterRefused:
        shutil.rmtree(out / ADAPTER)
        return False
    # the last thing that the child does, so a kill may have come before it
    (out / TRAINING).write_text(json.dumps(manifest.metrics, indent=1), encoding="utf-8")
    return True
