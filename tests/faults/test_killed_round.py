"""A training that is killed, or whose memory runs out, while the server goes on (bars B5, B12)."""

import json
import os
import random
import signal
import time

import pytest
from safetensors.numpy import load_file

from tests.faults.trainer import train_until_the_end
from tests.forks import forks
from tests.tuning.small import DIALS, PAIRS
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash, write_bundle
from tuning.checkpoint import last_checkpoint
from tuning.config import RoundConfig
from tuning.supervise import ADAPTER

MEMORY = "Memory ran out while training: lower step_tokens."
EPOCHS = 6  # three steps each


@pytest.fixture
def taken(tmp_path, tiny_base):
    """A round of ten pairs that saves a checkpoint at every second step."""
    return write_bundle(
        tmp_path / "bundle",
        config=RoundConfig(**DIALS | {"epochs": EPOCHS, "learned_loss": 0, "checkpoint_steps": 2}),
        base_fingerprint=tiny_base.fingerprint,
        base_model=tiny_base.name,
        round_id=1,
        train=PAIRS,
        heldout=(),
    )


def begin(taken, out, base, spare=None):
    given = (taken.folder, out, base.folder, spare)
    process = forks().Process(target=train_until_the_end, args=given)
    process.start()
    return process


def killed_at(process, out, step):
    """Ends the training once it has said that it is past this step."""
    while process.exitcode is None and reached(out) < step:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def reached(out):
    """The step that was said last by whoever trained in `out`."""
    said = (out / "said").read_text() if (out / "said").exists() else ""
    lines = [line for line in said.splitlines() if line.startswith('{"step"')]
    return json.loads(lines[-1])["step"] if lines else 0


@pytest.mark.parametrize("rounds", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_a_round_killed_at_random_steps_ends_as_one_that_was_not(
    taken, tmp_path, tiny_base, tried, rounds
):
    """Three kills a round. What it is after the last start is the same to the last bit."""
    chance = random.Random(rounds)
    unbroken = begin(taken, tmp_path / "unbroken", tiny_base)
    unbroken.join()
    assert unbroken.exitcode == 0
    whole = load_file(tmp_path / "unbroken" / ADAPTER / "adapter_model.safetensors")
    for number in range(rounds):
        out = tmp_path / f"out-{number}"
        for step in sorted(chance.sample(range(1, 3 * EPOCHS - 1), 3)):
            tried("B5")
            killed_at(begin(taken, out, tiny_base), out, step)
            saved = last_checkpoint(out, bundle_hash(taken.folder))
            # one is saved at every second step, and was just being saved perhaps
            assert (saved.step if saved else 0) >= step - 2
            assert not (out / ADAPTER).exists()
        last = begin(taken, out, tiny_base)
        last.join()
        assert last.exitcode == 0, (out / "said").read_text()
        verify_adapter(out / ADAPTER, tiny_base.fingerprint)
        found = load_file(out / ADAPTER / "adapter_model.safetensors")
        assert set(found) == set(whole)
        assert all((found[name] == whole[name]).all() for name in whole)


FEW = (0, 4, 32)
MANY = range(0, 160, 4)


@pytest.mark.parametrize("spares", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_training_without_memory_says_so(taken, tmp_path, tiny_base, tried, spares):
    """A real limit, so many MB above what the libraries take: an adapter, or one sentence."""
    ran_out = 0
    for spare in spares:
        tried("B12")
        out = tmp_path / f"out-{spare}"
        process = begin(taken, out, tiny_base, spare << 20)
        process.join()
        said = [json.loads(line) for line in (out / "said").read_text().splitlines()]
        if process.exitcode == 0:
            verify_adapter(out / ADAPTER, tiny_base.fingerprint)
            continue
        ran_out += 1
        assert said[-1] == {"error": MEMORY, "memory": True}
        assert not (out / ADAPTER).exists()
    assert ran_out
