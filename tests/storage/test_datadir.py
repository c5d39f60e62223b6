import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.database import open_database
from storage.datadir import DataDir, DataDirBusy, open_datadir, own, read_secret
from storage.errors import ApprenticeError, BadInput
from storage.workspaces import list_workspaces

FORK = multiprocessing.get_context("fork")


def test_it_makes_folders_for_the_owner_only(tmp_path):
    datadir = open_datadir(tmp_path / "deep" / "data")
    folders = [path for path in datadir.root.iterdir() if path.is_dir()] + [datadir.root]
    assert {path.name for path in folders} == {
        *(
            "data",
            "documents",
            "chroma",
            "models",
            "rounds",
            "adapters",
            "backups",
            "certificates",
            "client-databases",
            "secrets",
        )
    }
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


def test_opening_again_keeps_everything(tmp_path):
    datadir = open_datadir(tmp_path / "data")
    (datadir.documents / "a.md").write_text("kept")
    assert open_datadir(tmp_path / "data") == datadir
    assert (datadir.documents / "a.md").read_text() == "kept"
    with open_database(datadir.database) as db:
        assert [workspace.name for workspace in list_workspaces(db)] == ["default"]


def test_many_open_a_new_one_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_datadir, [tmp_path / "data"] * 4))
    with open_database(opened[0].database) as db:
        assert len(list_workspaces(db)) == 1


def test_the_path_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    datadir = open_datadir(Path("data"))
    monkeypatch.chdir("/")
    assert datadir.database.is_file()


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BadInput, match="data is a file, not a folder"):
        open_datadir(tmp_path / "data")
    with pytest.raises(BadInput, match="cannot be made"):
        open_datadir(tmp_path / "data" / "inside")


def test_a_place_where_nothing_can_be_made_is_named():
    with pytest.raises(BadInput, match="/proc/here cannot be made"):
        open_datadir(Path("/proc/here"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="cannot be"):
        open_datadir(tmp_path)


def test_a_second_owner_is_refused_and_told_who(datadir):
    said = f"process {os.getpid()} on .*--data"
    with own(datadir), pytest.raises(DataDirBusy, match=said), own(datadir):
        pass
    with own(datadir):
        pass


def test_the_refused_one_does_not_break_the_lock(datadir):
    with own(datadir):
        for _ in range(2):
            with pytest.raises(DataDirBusy), own(datadir):
                pass


def _hold(datadir: DataDir, pipe) -> None:
    with own(datadir):
        pipe.send("held")
        pipe.recv()


def test_the_lock_dies_with_its_process(datadir):
    here, there = FORK.Pipe()
    process = FORK.Process(target=_hold, args=(datadir, there))
    process.start()
    assert here.recv() == "held"
    with pytest.raises(DataDirBusy, match=f"process {process.pid} on"), own(datadir):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with own(datadir):
        pass


def test_a_link_as_lock_file_is_not_followed(datadir, tmp_path):
    (tmp_path / "victim").write_text("kept")
    datadir.lock.symlink_to(tmp_path / "victim")
    with pytest.raises(ApprenticeError, match="cannot be locked"), own(datadir):
        pass
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_secret_is_made_once_and_kept(datadir):
    with ThreadPoolExecutor(4) as pool:
        secrets = set(pool.map(lambda _: read_secret(datadir, "session"), range(8)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 43
    assert (datadir.secret / "session").stat().st_mode & 0o777 == 0o600
    assert os.listdir(datadir.secret) == ["session"]
    assert read_secret(datadir, "other") != read_secret(datadir, "session")
