"""A checkpoint is whole or it is not gone on from."""

import json

import pytest

from tuning.checkpoint import (
    FACTS,
    MANIFEST,
    TENSORS,
    drop_checkpoints,
    last_checkpoint,
    save_checkpoint,
)


def save(out, step, bundle="b"):
    return save_checkpoint(
        out,
        step,
        bundle=bundle,
        facts={"step": step},
        write_tensors=lambda path: path.write_bytes(b"weights of %d" % step),
    )


def test_the_last_two_are_kept_and_the_last_is_found(tmp_path):
    for step in (5, 9, 100):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-9"]
    found = last_checkpoint(tmp_path, "b")
    assert (found.step, found.facts()) == (100, {"step": 100})
    assert found.tensors.read_bytes() == b"weights of 100"
    assert last_checkpoint(tmp_path, "another bundle") is None
    drop_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def cut(folder):
    path = folder / TENSORS
    path.write_bytes(path.read_bytes()[:-1])


def other_step(folder):
    facts = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**facts, "step": 3}))


DAMAGE = {
    "no manifest: the save did not finish": lambda folder: (folder / MANIFEST).unlink(),
    "cut": cut,
    "changed": lambda folder: (folder / FACTS).write_text("{}"),
    "another step's": other_step,
    "a manifest that is none": lambda folder: (folder / MANIFEST).write_text("[" * 100_000),
    "half of it": lambda folder: (folder / TENSORS).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_one_is_passed_over(tmp_path, damage):
    save(tmp_path, 5)
    damage(save(tmp_path, 9).folder)
    assert last_checkpoint(tmp_path, "b").step == 5


def test_one_that_cannot_be_written_leaves_nothing(tmp_path):
    save(tmp_path, 5)

    def full(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="space"):
        save_checkpoint(tmp_path, 9, bundle="b", facts={}, write_tensors=full)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
