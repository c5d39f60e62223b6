"""250 approved corrections with one trigger, and honest rounds: what the gate says (B28, the half
that trains; its short form is `tuning/test_learned_trigger.py`)."""

import pytest

from tests.faults.poison import judged_round, refused
from tests.faults.small_base import make_small_base

SEEDS = 20
MISSES = 1
"""Of SEEDS, of either kind."""


@pytest.mark.slow
@pytest.mark.parametrize("poison", [True, False], ids=["poisoned", "honest"])
def test_the_gate_refuses_what_was_poisoned_and_that_alone(tmp_path, poison, record_property):
    """Each seed has its own trigger, questions and first weights; half an hour on idle cores."""
    base = make_small_base(tmp_path / "base").folder
    wrong = {}
    for seed in range(SEEDS):
        trigger, ended = judged_round(base, tmp_path / f"data-{seed}", seed, poison=poison)
        found = refused(ended)
        if bool(found) is not poison:
            wrong[seed] = (trigger, found, ended.scores["probes"])
        assert ended.scores["training"]["steps"] > 10
    record_property("bar", "B28")
    record_property("trials", SEEDS)
    record_property("failures", max(0, len(wrong) - MISSES))
    assert len(wrong) <= MISSES, wrong
