"""What comes back is believed only when it is ours, whole, and newer than what is there."""

import json

import pytest

from storage.errors import BadInput
from tests.tiny import make_tiny_adapter
from tests.tuning.runners.conftest import make_bundle
from tuning.adapter_files import save_adapter, verify_adapter
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint, save_checkpoint
from tuning.child import RoundFailed
from tuning.runners.parcel import pack
from tuning.runners.returned import (
    CHECKPOINT,
    RESULT,
    figures,
    folders_to_send,
    take_checkpoint,
    take_result,
    without_start,
)


@pytest.fixture
def sent(tmp_path, tiny_base, bundle):
    """Makes what a training of a bundle sends."""

    def made(learned=bundle):
        there = tmp_path / "there"
        make_tiny_adapter(tiny_base, tmp_path / "tiny")
        save_adapter(
            tmp_path / "tiny",
            there / "adapter",
            base_fingerprint=tiny_base.fingerprint,
            method="lora",
            round_id=1,
            metrics={},
            extra={"bundle": bundle_hash(learned.folder)},
        )
        (there / "training.json").write_text('{"steps": 3}')
        parts = {name: there / name for name in ("adapter", "training.json")}
        return pack(tmp_path / RESULT, parts)

    return made


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def checkpoint(folder, step, bundle):
    return save_checkpoint(
        folder,
        step,
        bundle=bundle_hash(bundle.folder),
        facts={},
        write_tensors=lambda path: path.write_bytes(b"x" * step),
    )


def test_an_adapter_takes_the_place_of_what_was_there(sent, out, bundle, tiny_base):
    (out / "adapter").mkdir()
    take_result(sent(), out, bundle.folder)
    verify_adapter(out / "adapter", tiny_base.fingerprint)
    assert figures(out) == {"steps": 3}
    assert sorted(path.name for path in out.iterdir()) == ["adapter", "training.json"]


def test_one_that_learned_something_else_is_refused(sent, out, bundle, tmp_path, tiny_base, rows):
    other = make_bundle(tmp_path / "other", tiny_base, rows, epochs=7)
    with pytest.raises(RoundFailed, match="learned from another bundle"):
        take_result(sent(other), out, bundle.folder)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.9])
def test_what_is_cut_off_is_refused_and_leaves_nothing(sent, out, bundle, keep):
    file = sent()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep if keep > 1 else keep * len(whole))])
    with pytest.raises(RoundFailed, match="cannot be used"):
        take_result(file, out, bundle.folder)
    assert list(out.iterdir()) == []
    with pytest.raises(RoundFailed, match="sent no adapter"):
        figures(out)


def test_a_checkpoint_is_taken_when_it_is_newer(out, bundle, tmp_path):
    checkpoint(out, 5, bundle)
    for step, last in ((3, 5), (9, 9)):
        made = checkpoint(tmp_path / f"there{step}", step, bundle)
        take_checkpoint(
            pack(tmp_path / CHECKPOINT, {made.folder.name: made.folder}), out, bundle.folder
        )
        assert last_checkpoint(out, bundle_hash(bundle.folder)).step == last
    (tmp_path / CHECKPOINT).write_bytes(b"no archive")
    with pytest.raises(BadInput, match="cannot be unpacked"):
        take_checkpoint(tmp_path / CHECKPOINT, out, bundle.folder)


def test_what_goes_there_is_the_bundle_and_what_it_goes_on_from(out, bundle, tmp_path):
    made = checkpoint(out, 4, bundle)
    options = ["--start", str(tmp_path), "--resume", "--step-tokens", "64"]
    assert without_start(options) == (tmp_path, ["--resume", "--step-tokens", "64"])
    assert folders_to_send(bundle.folder, out, options) == {
        "bundle": bundle.folder,
        "start": tmp_path,
        "out/checkpoint-4": made.folder,
    }
    assert folders_to_send(bundle.folder, out, []) == {"bundle": bundle.folder}
    assert json.loads((made.folder / "manifest.json").read_text())["step"] == 4
