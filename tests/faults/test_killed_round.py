"""A training that is killed, or whose memory runs out, while the server goes on (bars B5, B12)."""

import json
import os
import random
import signal
import time
from multiprocessing import get_context

import pytest
from safetensors.numpy import load_file

from tests.faults.trainer import PRELOADED, train_until_the_end
from tests.tuning.small import DIALS, PAIRS
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash, write_bundle
from tuning.checkpoint import last_checkpoint
from tuning.config import RoundConfig
from tuning.supervise import ADAPTER

MEMORY = "Memory ran out while training: lower step_tokens."
EPOCHS = 12  # three steps each


@pytest.fixture(scope="module")
def forks():
    """Processes that begin with torch and TRL read: a training needs no ten seconds to start."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


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


def begin(forks, taken, out, base, spare=None):
    given = (taken.folder, out, base.folder, spare)
    process = forks.Process(target=train_until_the_end, args=given)
    process.start()
    return process


@pytest.mark.parametrize("rounds", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_a_round_killed_at_random_steps_ends_as_one_that_was_not(
    forks, taken, tmp_path, tiny_base, tried, rounds
):
    """Three kills a round. What it is after the last start is the same to the last bit."""
    chance = random.Random(rounds)
    begun = time.monotonic()
    unbroken = begin(forks, taken, tmp_path / "unbroken", tiny_base)
    unbroken.join()
    assert unbroken.exitcode == 0
    long = time.monotonic() - begun
    whole = load_file(tmp_path / "unbroken" / ADAPTER / "adapter_model.safetensors")
    for number in range(rounds):
        out = tmp_path / f"out-{number}"
        reached = []
        while len(reached) < 3:
            process = begin(forks, taken, out, tiny_base)
            process.join(chance.uniform(0.3, 0.6) * long)
            if process.exitcode is not None:
                break
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            tried("B5")
            saved = last_checkpoint(out, bundle_hash(taken.folder))
            reached.append(saved.step if saved else 0)
        last = begin(forks, taken, out, tiny_base)
        last.join()
        assert last.exitcode == 0, (out / "said").read_text()
        assert reached == sorted(reached) and reached
        verify_adapter(out / ADAPTER, tiny_base.fingerprint)
        found = load_file(out / ADAPTER / "adapter_model.safetensors")
        assert all((found[name] == whole[name]).all() for name in whole) and len(found) == len(
            whole
        )


@pytest.mark.parametrize(
    "spares", [(0, 4, 32), pytest.param(range(0, 160, 4), marks=pytest.mark.slow)]
)
def test_a_training_without_memory_says_so(forks, taken, tmp_path, tiny_base, tried, spares):
    """A real limit, so many MB above what the libraries take: an adapter, or one sentence."""
    ran_out = 0
    for spare in spares:
        tried("B12")
        out = tmp_path / f"out-{spare}"
        process = begin(forks, taken, out, tiny_base, spare << 20)
        process.join()
        said = [json.loads(line) for line in (out / "said").read_text().splitlines()]
        if process.exitcode == 0:
            verify_adapter(out / ADAPTER, tiny_base.fingerprint)
            continue
        ran_out += 1
        assert said[-1] == {"error": MEMORY, "memory": True}
        assert not (out / ADAPTER).exists()
    assert ran_out
