"""A small bundle on the tiny base, and how a runner is asked to train it."""

from pathlib import Path

import pytest

from tests.tuning.small import DIALS
from tuning.bundle import write_bundle
from tuning.config import RoundConfig


@pytest.fixture
def bundle(tmp_path, tiny_base, rows):
    """Six epochs of two steps."""
    return make_bundle(tmp_path / "bundle", tiny_base, rows)


def make_bundle(folder: Path, base, rows, **dials):
    """A bundle whose training is not cut short by having learned."""
    return write_bundle(
        folder,
        config=RoundConfig(**{**DIALS, "epochs": 6, "learned_loss": 0.0, **dials}),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=(),
    )


def train(runner, bundle, out, base, *, said=None, cancelled=lambda: False, options=()):
    """Has the runner train; what it says is added to `said`."""
    return runner.train(
        bundle.folder,
        out,
        base.folder,
        on_progress=(said if said is not None else []).append,
        cancelled=cancelled,
        options=options,
    )
