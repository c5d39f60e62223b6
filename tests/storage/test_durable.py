"""What `put` does across two file systems; on one of them all of `tests/faults` uses it."""

import os
import tempfile
from pathlib import Path

import pytest

from storage.durable import put

MEMORY = Path("/dev/shm")


@pytest.fixture
def elsewhere(tmp_path, tmp_path_factory):
    """A folder on another file system than `tmp_path`."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


def test_a_folder_from_another_mount(tmp_path, elsewhere):
    draft, place = elsewhere / "adapter", tmp_path / "7"
    draft.mkdir(mode=0o700)
    (draft / "manifest.json").write_text("{}")
    (tmp_path / ".7.arriving").mkdir()  # left by a crash
    (tmp_path / ".7.arriving" / "half").write_text("")
    with pytest.raises(OSError, match="cross-device"):
        os.replace(draft, place)
    put(draft, place)
    assert [one.name for one in place.iterdir()] == ["manifest.json"]
    assert place.stat().st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path) == ["7"] and not draft.exists()


def test_a_file_from_another_mount_and_what_cannot_be_put(tmp_path, elsewhere):
    draft = elsewhere / "note"
    draft.write_text("all of it")
    put(draft, tmp_path / "note")
    assert (tmp_path / "note").read_text() == "all of it" and not draft.exists()
    draft.write_text("again")
    with pytest.raises(OSError, match="Is a directory"):
        put(draft, tmp_path)
    assert draft.read_text() == "again" and not list(tmp_path.parent.glob(".*.arriving"))
