"""A trial really trains, and its score is what greedy decoding would give."""

import pytest

from tests.tuning.test_sweep import whole
from tuning.batches import parts
from tuning.sweep import write_pool
from tuning.sweep_trial import MOST_NATS, NATS, run_trial

__all__ = ["whole"]


@pytest.fixture
def pool(whole, tmp_path):
    write_pool(whole, tmp_path / "pool", "w")
    return tmp_path / "pool"


def test_a_trial_reports_after_each_epoch_and_learns(pool, tiny_base):
    said = []
    dials = {"method": "lora", "rank": 8, "epochs": 25, "objective": "sft", "rate_share": 10.0}
    run_trial(dials, pool, tiny_base.folder, said.append, threads=1)
    assert [one["epoch"] for one in said[:3]] == [1, 2, 3]
    assert [one["ended"] for one in said] == [False] * (len(said) - 1) + [True]
    first, last = said[0], said[-1]
    assert last["total"] == 8 and last["nats"] < first["nats"] / 2
    assert last["right"] > first["right"]
    for one in said:
        share = one["right"] / one["total"]
        assert share - NATS * MOST_NATS <= one["score"] <= share
    assert parts([], 10) == []


def test_dials_make_a_difference_and_a_rate_of_nothing_learns_nothing(pool, tiny_base):
    said = []
    dials = {"objective": "sft", "epochs": 3, "learning_rate": 1e-9}
    run_trial(dials, pool, tiny_base.folder, said.append, threads=1)
    assert said[-1]["right"] == 0 and said[-1]["nats"] == pytest.approx(said[0]["nats"], rel=1e-3)
