"""What runs elsewhere: checkpoints are sent when they are due; the whole is in test_hf_jobs.py."""

import json

import pytest

from storage.hub import HubFailed
from tuning.bundle import bundle_hash
from tuning.checkpoint import save_checkpoint
from tuning.runners.job import CHECKPOINT, SAID, SENT_EVERY_SECONDS, Sender
from tuning.runners.parcel import unpack


class Shelf:
    """A depot of this folder."""

    def __init__(self, place):
        self.place, self.full = place, False

    def put(self, file, name):
        if self.full:
            raise HubFailed("The Hub refused.")
        (self.place / name).write_bytes(file.read_bytes())


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def saved(tmp_path, bundle):
    """Saves a checkpoint after so many steps."""

    def save(step):
        save_checkpoint(
            tmp_path / "out",
            step,
            bundle=bundle_hash(bundle.folder),
            facts={},
            write_tensors=lambda path: path.write_bytes(b"weights"),
        )

    return save


def steps(shelf, tmp_path):
    """The checkpoints in what was sent last."""
    unpack(shelf.place / CHECKPOINT, tmp_path / "came")
    return sorted(path.name for path in (tmp_path / "came").iterdir())


def test_one_is_sent_when_it_is_due_and_new(tmp_path, shelf, saved):
    now = [0.0]
    sender = Sender(shelf, tmp_path, clock=lambda: now[0])
    saved(2)
    sender.checkpoint()
    assert not list(shelf.place.iterdir()), "too early"
    now[0] += SENT_EVERY_SECONDS
    sender.checkpoint()
    assert steps(shelf, tmp_path) == ["checkpoint-2"]
    (shelf.place / CHECKPOINT).unlink()
    now[0] += SENT_EVERY_SECONDS
    sender.checkpoint()
    assert not list(shelf.place.iterdir()), "the same one again"
    saved(4)
    sender.checkpoint(now=True)
    assert steps(shelf, tmp_path) == ["checkpoint-2", "checkpoint-4"]


def test_one_that_cannot_be_sent_is_a_note(tmp_path, shelf, saved, capsys):
    sender = Sender(shelf, tmp_path)
    saved(2)
    shelf.full = True
    sender.checkpoint(now=True)
    said = json.loads(capsys.readouterr().out)[SAID]
    assert said["note"] == "no checkpoint could be sent: The Hub refused."
    shelf.full = False
    sender.checkpoint(now=True)
    assert steps(shelf, tmp_path) == ["checkpoint-2"]
