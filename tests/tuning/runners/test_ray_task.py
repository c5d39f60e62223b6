"""A node's work without a cluster: what it yields, from parcel to adapter, and what fails."""

import sys

import pytest

from tests.tuning.runners.conftest import make_bundle
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint
from tuning.child import LOG
from tuning.runners import ray_task
from tuning.runners.parcel import pack
from tuning.runners.ray_base import cut_base
from tuning.runners.ray_job import OVER, Home, _attempt, say
from tuning.runners.ray_log import Listener
from tuning.runners.ray_task import Piece, Work, train_here
from tuning.runners.returned import CHECKPOINT, PARCEL, RESULT, take_checkpoint, take_result


def parcel(tmp_path, bundle):
    return [pack(tmp_path / PARCEL, {"bundle": bundle.folder}).read_bytes()]


def at_home(folder, said, capsys, on_progress=lambda said: None):
    """What a node yielded, through the head and the job's log, as the server hears it."""
    home = Home(folder / "head")
    (folder / "head").mkdir()
    assert _attempt(said, home) is None
    for name in (CHECKPOINT, RESULT):
        home.send(name)
    say(OVER)
    (folder / "server").mkdir()
    listener = Listener(folder / LOG, folder / "server", on_progress)
    for line in capsys.readouterr().out.splitlines():
        listener.hear(line)
    return listener


def test_a_parcel_becomes_an_adapter_and_checkpoints_come_before_it(
    tmp_path, tiny_base, rows, monkeypatch, capsys
):
    """The base comes in packages; archives go in small pieces, as large ones would."""
    monkeypatch.setattr(ray_task, "PIECE_BYTES", 10_000)
    monkeypatch.setattr(ray_task, "TOGETHER_S", 0.0)  # its twelve steps take no longer than that
    monkeypatch.setattr("tuning.runners.ray_job.LINE_BYTES", 7_000)
    bundle = make_bundle(tmp_path / "bundle", tiny_base, rows, checkpoint_steps=4)
    cut_base(tiny_base.folder, tmp_path / "packages")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "packages")])
    work = Work((), cpus=1.0, gpus=0.0)
    said = list(train_here(work, {PARCEL: parcel(tmp_path, bundle)}))
    steps = []
    listener = at_home(tmp_path, said, capsys, lambda one: steps.append(one.get("step")))
    assert [step for step in steps if step] == list(range(1, 13)) and listener.over
    pieces = [one for one in said if isinstance(one, Piece) and one.file == CHECKPOINT]
    assert max(piece.of for piece in pieces) > 1
    (tmp_path / "out").mkdir()
    take_result(listener.file(RESULT), tmp_path / "out", bundle.folder)
    verify_adapter(tmp_path / "out" / "adapter", tiny_base.fingerprint)
    take_checkpoint(listener.file(CHECKPOINT), tmp_path / "out", bundle.folder)
    assert last_checkpoint(tmp_path / "out", bundle_hash(bundle.folder)).step in (4, 8)


@pytest.mark.parametrize(
    ("base", "says"),
    [("", "did not come to this node"), ("/nowhere", "holds no .safetensors file")],
)
def test_a_node_without_the_base_says_so_last(base, says, tmp_path, bundle):
    work = Work((), cpus=1.0, gpus=0.0, base=base)
    *_, (last,) = train_here(work, {PARCEL: parcel(tmp_path, bundle)})
    assert says in last["error"] and last["memory"] is False


def test_a_parcel_that_is_damaged_is_an_error_and_not_a_fault(tmp_path):
    *_, (last,) = train_here(Work((), 1.0, 0.0), {PARCEL: [b"no archive"]})
    assert "cannot be unpacked" in last["error"]
