"""Two processes teach one adapter: the same one as one process would, and they end together."""

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest
import torch
from safetensors.torch import load_file

from storage.errors import BadInput, Refused
from tests.tuning.runners.conftest import make_bundle, train
from tuning.adapter_files import WEIGHTS, verify_adapter
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint
from tuning.child import RoundCancelled, RoundFailed
from tuning.runners.accelerate import Accelerate
from tuning.train import train as train_here

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="counts processes of a CPU")


def trainer(rank):
    """This process's descendant that trains as that rank."""
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # another one may end while we look
            if one.environ().get("RANK") == str(rank):
                return one
    raise AssertionError(f"nobody trains as rank {rank}")


def test_two_processes_make_the_adapter_of_one(tmp_path, tiny_base, bundle):
    said, others = [], psutil.Process().children(recursive=True)  # of tests before this one
    result = train(Accelerate(2), bundle, tmp_path / "out", tiny_base, said=said)
    alone = train_here(bundle.folder, tiny_base.folder, tmp_path / "alone")
    assert result["losses"] == pytest.approx(alone.losses, rel=1e-3)
    assert (result["steps"], result["learned"]) == (alone.steps, alone.learned)
    assert [one["step"] for one in said] == list(range(1, 13)), "more than one of them spoke"
    verify_adapter(tmp_path / "out" / "adapter", tiny_base.fingerprint)
    mine, theirs = (load_file(tmp_path / name / "adapter" / WEIGHTS) for name in ("out", "alone"))
    assert all(torch.allclose(mine[name], theirs[name], atol=1e-3) for name in mine)
    assert {*psutil.Process().children(recursive=True)} <= {*others}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["compared", "thumbs"])
def test_pairs_and_thumbs_are_shared_out_too(tmp_path, request, tiny_base, kind):
    rows = request.getfixturevalue(kind)
    objective = {"compared": "dpo", "thumbs": "kto"}[kind]
    taken = make_bundle(tmp_path / "b", tiny_base, rows, objective=objective)
    result = train(Accelerate(2), taken, tmp_path / "out", tiny_base)
    alone = train_here(taken.folder, tiny_base.folder, tmp_path / "alone")
    assert result["losses"] == pytest.approx(alone.losses, rel=1e-2)
    assert result["learned"] == alone.learned


@pytest.mark.slow
def test_a_cancel_ends_all_of_them_and_it_goes_on_from_there(tmp_path, tiny_base, rows):
    taken = make_bundle(tmp_path / "b", tiny_base, rows, epochs=20, checkpoint_steps=2)
    out, said = tmp_path / "out", []
    with pytest.raises(RoundCancelled):
        train(Accelerate(2), taken, out, tiny_base, said=said, cancelled=lambda: len(said) >= 5)
    gone, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=30)
    assert not alive
    reached = last_checkpoint(out, bundle_hash(taken.folder)).step
    again = []
    result = train(Accelerate(2), taken, out, tiny_base, said=again, options=["--resume"])
    assert [one["step"] for one in again] == list(range(reached + 1, 41))
    alone = train_here(taken.folder, tiny_base.folder, tmp_path / "alone")
    assert result["losses"] == pytest.approx(alone.losses, rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_one_that_dies_fails_the_round(tmp_path, tiny_base, rows, which):
    taken = make_bundle(tmp_path / "b", tiny_base, rows, epochs=2000)
    said, killed = [], []

    def kill():
        if said and not killed:
            killed.append(time.monotonic())
            os.kill(trainer(which).pid, signal.SIGKILL)
        return False

    with pytest.raises(RoundFailed, match=r"killed after step \d+"):
        train(Accelerate(2), taken, tmp_path / "out", tiny_base, said=said, cancelled=kill)
    gone, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=30)
    assert killed and not alive
    assert time.monotonic() - killed[0] < 60, "the other one was waited for"
    assert not (tmp_path / "out" / "adapter").exists()


def test_it_refuses_what_cannot_be():
    assert Accelerate().ready() == "trains on 2 processes on the CPU of this machine"
    for processes in (1, -1, 65):
        with pytest.raises(BadInput, match=f"APPRENTICE_ACCELERATE_PROCESSES is {processes}"):
            Accelerate(processes).ready()


@pytest.mark.parametrize("gpus, processes, said", [(1, 0, "the runner local"), (2, 3, "fewer")])
def test_each_process_wants_a_gpu(monkeypatch, gpus, processes, said):
    monkeypatch.setattr("tuning.runners.accelerate._gpus", lambda: gpus)
    with pytest.raises(Refused, match=said):
        Accelerate(processes).ready()
