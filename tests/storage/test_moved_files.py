"""Files of a workspace, the same in both data directories."""

import os

import pytest

from storage.database import insert, write_transaction
from storage.datadir import open_datadir
from storage.moved_files import bring_files, delete_folders, folders_of


@pytest.fixture
def there(tmp_path):
    return open_datadir(tmp_path / "there")


def test_they_come_once_and_again_when_they_change(db, datadir, there):
    with write_transaction(db):
        known = {"workspace_id": 1, "base_fingerprint": "b", "method": "lora", "manifest_hash": "m"}
        number = insert(db, "adapters", **known)
    for place in ("documents/1/a.md", f"adapters/{number}/deep/w.bin", "documents/2/other.md"):
        path = datadir.root / place
        path.parent.mkdir(parents=True)
        path.write_text(place)
    (datadir.documents / "1" / ".draft-x").write_text("half")
    assert bring_files(datadir, there, 1) == 2
    assert bring_files(datadir, there, 1) == 0
    path = datadir.documents / "1" / "a.md"
    state = path.stat()
    path.write_text("documents/1/b.md")  # of the same size
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    (datadir.adapters / str(number) / "deep" / "w.bin").unlink()
    assert bring_files(datadir, there, 1) == 1
    copies = sorted(p.relative_to(there.root) for p in there.root.rglob("*.*") if p.is_file())
    names = [str(name) for name in copies if name.parts[0] in ("documents", "adapters")]
    assert names == ["documents/1/a.md"]
    assert (there.documents / "1" / "a.md").read_text() == "documents/1/b.md"
    delete_folders(datadir, folders_of(datadir, 1))
    assert not (datadir.documents / "1").exists()
    assert (datadir.documents / "2" / "other.md").exists()


def test_a_copy_that_is_not_the_same_is_an_error(datadir, there, monkeypatch):
    import shutil

    from storage import moved_files

    def torn(source, target):
        shutil.copyfile(source, target)
        os.truncate(target, 1)

    (datadir.documents / "1").mkdir()
    (datadir.documents / "1" / "a.md").write_text("whole")
    monkeypatch.setattr(moved_files.shutil, "copy2", torn)  # a disk that loses what it was given
    with pytest.raises(OSError, match="not what was copied"):
        bring_files(datadir, there, 1)
    assert not (there.documents / "1" / "a.md").exists()
