"""A training that was killed and goes on ends where one that was not ends."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.tuning.small import DIALS
from tuning import train as training
from tuning.adapter_files import WEIGHTS
from tuning.bundle import bundle_hash, write_bundle
from tuning.checkpoint import FACTS, MANIFEST, last_checkpoint
from tuning.config import RoundConfig
from tuning.course import TrainingFailed
from tuning.train import train

STEPS = 12
SAME = 1e-4
"""Two trainings of one process now and then end 1e-5 apart: sums of threads in another order."""


class Killed(Exception):
    """Stands for the end of the process: nothing after it runs."""


def bundle(folder, base, rows, **dials):
    config = {**DIALS, "epochs": 6, "learned_loss": 0.0, "checkpoint_steps": 3, **dials}
    write_bundle(
        folder,
        config=RoundConfig(**config),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=(),
    )
    return folder


def killed_at(step):
    def said(one):
        if one["step"] == step:
            raise Killed

    return said


def weights(out):
    return load_file(out / "adapter" / WEIGHTS)


def apart(wanted, found):
    """The largest difference of two adapters' weights."""
    assert wanted.keys() == found.keys()
    return max(float((wanted[name] - found[name]).abs().max()) for name in wanted)


@pytest.fixture
def whole(tiny_base, rows, tmp_path):
    """(bundle, what a training that nobody killed came to, its weights)."""
    place = bundle(tmp_path / "b", tiny_base, rows)
    result = train(place, tiny_base.folder, tmp_path / "whole")
    assert result.steps == STEPS
    return place, result, weights(tmp_path / "whole")


def test_it_ends_where_one_that_was_not_killed_ends(whole, tiny_base, tmp_path):
    place, result, wanted = whole
    out = tmp_path / "out"
    with pytest.raises(Killed):
        train(place, tiny_base.folder, out, on_progress=killed_at(8))
    assert last_checkpoint(out, bundle_hash(place)).step == 6
    torch.manual_seed(99)
    said = []
    again = train(place, tiny_base.folder, out, resume=True, on_progress=said.append)
    assert [one["step"] for one in said] == list(range(7, STEPS + 1))
    assert apart(wanted, weights(out)) < SAME
    assert again.losses == pytest.approx(result.losses, abs=SAME)
    assert (again.learned, again.tokens) == (result.learned, result.tokens)
    assert [path.name for path in out.iterdir()] == ["adapter"], "a checkpoint outlived its round"


def test_less_at_once_learns_the_same(whole, tiny_base, tmp_path):
    place, _, wanted = whole
    train(place, tiny_base.folder, tmp_path / "out", step_tokens=40)
    assert apart(wanted, weights(tmp_path / "out")) < 0.05


def test_without_resume_it_starts_over(whole, tiny_base, tmp_path):
    place, _, wanted = whole
    out = tmp_path / "out"
    with pytest.raises(Killed):
        train(place, tiny_base.folder, out, on_progress=killed_at(8))
    said = []
    train(place, tiny_base.folder, out, on_progress=said.append)
    assert said[0]["step"] == 1
    assert apart(wanted, weights(out)) < SAME


def test_a_checkpoint_of_another_shape_is_refused(whole, tiny_base, rows, tmp_path):
    place, _, _ = whole
    out = tmp_path / "out"
    with pytest.raises(Killed):
        train(place, tiny_base.folder, out, on_progress=killed_at(4))
    other = bundle(tmp_path / "other", tiny_base, rows, rank=2)
    folder = last_checkpoint(out, bundle_hash(place)).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["bundle"] = bundle_hash(other)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert (folder / FACTS).is_file()
    with pytest.raises(TrainingFailed, match="start a new round"):
        train(other, tiny_base.folder, out, resume=True)


def test_a_full_disk_does_not_end_it(tiny_base, rows, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "save_state", full)
    said = []
    place = bundle(tmp_path / "b", tiny_base, rows, epochs=3)
    result = train(place, tiny_base.folder, tmp_path / "out", on_progress=said.append)
    assert result.steps == 6
    assert {"note": "no checkpoint could be saved: No space left on device"} in said
