"""One trial of a sweep: an adapter by some dials, scored by the rows that were kept out of it.

The score is the share of those rows whose whole answer the model would give word for word, every
token the likeliest after the ones before it; equal shares are told apart by a thousandth of the
mean loss. Found in one forward pass, so it is taken after each epoch. Needs torch; import late.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tuning.batches import parts
from tuning.bundle import read_bundle, write_bundle
from tuning.losses import token_losses
from tuning.rows import RowFile, TrainRow
from tuning.sweep import BUNDLE, SCORED, config_of, rows_for
from tuning.train import train

NATS = 1e-3
"""What a nat of loss counts, so that it never outweighs an answer of 200."""
MOST_NATS = 4.0

Report = Callable[[dict[str, Any]], None]


def run_trial(
    dials: Mapping[str, Any],
    pool: Path,
    model_folder: Path,
    report: Report,
    *,
    threads: int | None = None,
) -> None:
    """Trains the pool's rows by the dials; reports {"score", "right", "total", "nats", "epoch",
    "ended"} after each epoch. The adapter is thrown away. Raises what `train` raises."""
    whole = read_bundle(pool / BUNDLE)
    scored = list(RowFile(pool / SCORED))
    config = replace(config_of(whole.config, dials), threads=threads or whole.config.threads)
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        folder = Path(scratch)
        bundle = write_bundle(
            folder / "bundle",
            config=config,
            base_fingerprint=whole.base_fingerprint,
            base_model=whole.base_model,
            train=rows_for(whole.train, config.objective),
            heldout=whole.heldout,
        )

        def look(model: Any, epoch: int, ended: bool) -> None:
            found = score(model, scored, config.step_tokens)
            report({**found, "epoch": max(1, epoch), "ended": ended})

        train(bundle.folder, model_folder, folder / "out", threads=config.threads, look=look)


def score(model: Any, rows: Sequence[TrainRow], most_tokens: int) -> dict[str, Any]:
    """{"score", "right", "total", "nats"} of the model on these rows; its mode stays."""
    right, nats, was_training = 0, 0.0, model.training
    model.eval()
    try:
        with torch.no_grad():
            for part in parts(rows, most_tokens):
                losses, likeliest = token_losses(model, part)
                at = torch.tensor(part.label_rows, device=losses.device)
                count = torch.bincount(at)
                nats += float((torch.bincount(at, weights=losses.float()) / count).sum())
                right += int((torch.bincount(at, weights=(~likeliest).float()) == 0).sum())
    finally:
        model.train(was_training)
    mean = nats / len(rows)
    found = right / len(rows) - NATS * min(MOST_NATS, mean)
    return {"score": round(found, 6), "right": right, "total": len(rows), "nats": round(mean, 5)}
