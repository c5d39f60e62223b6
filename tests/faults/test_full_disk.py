"""A disk that takes no more from any call on: nothing torn, nothing said that is not so."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from storage.audit import audit_chain
from storage.database import faults, open_database, rows
from storage.datadir import DataDir
from tests.faults import acts
from tests.faults.disk import needs_mounts, needs_strace

CALLS = {"pwrite64": "ENOSPC", "ftruncate": "ENOSPC", "fdatasync": "EIO"}


def failing(act: str, folder: Path, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The act where the n-th call and all after it fail, for every n: the call, stdout, stderr."""
    program = [sys.executable, acts.__file__, act, str(folder)]
    root = str(Path(acts.__file__).parents[2])
    trace, kept = tmp_path / "trace", tmp_path / "kept"
    folder.rename(kept)
    database = DataDir(folder).database
    files = [f"-P{database}{end}" for end in ("", "-wal", "-shm")]
    for call, error in CALLS.items():
        for number in range(1, 100):
            copytree(kept, folder)
            spec = f"inject={call}:error={error}:when={number}+"
            strace = ["strace", "-f", "-e", f"trace={call}", "-e", spec, *files, "-o", str(trace)]
            ran = subprocess.run(
                [*strace, *program],
                capture_output=True,
                text=True,
                env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"},
            )
            if "INJECTED" not in trace.read_text():
                break
            yield f"{call} {number}", ran.stdout.strip(), ran.stderr.strip()
            rmtree(folder)
        rmtree(folder)


@needs_strace
@pytest.mark.parametrize("act", [acts.correct, pytest.param(acts.answer, marks=pytest.mark.slow)])
def test_it_is_there_or_not_and_the_reason_is_told(house, tmp_path, tried, act):
    table = "feedback" if act is acts.correct else "messages"
    before = 1 if act is acts.correct else 2
    tries = 0
    for call, said, error in failing(act.__name__, house.root, tmp_path):
        tried("B11")
        tries += 1
        assert said or re.search("[Tt]he disk", error.splitlines()[-1]), (call, error)
        with open_database(house.database) as db:
            assert faults(db) == [] and audit_chain(db).kept
            count = len(rows(db, f"select id from {table}"))
            assert count == before + 1 if said else count in (before, before + 1)
            if "nothing was saved" in error:
                assert count == before
    assert tries > 3


SMALL_DISK = """
import os, shutil, sys
from pathlib import Path
from storage.audit import audit_chain
from storage.database import DiskFull, faults, open_database, rows
from storage.datadir import DataDir
from storage.feedback import add_feedback

disk, data, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
datadir = DataDir(Path(shutil.copytree(data, disk / "data")))
server = open_database(datadir.database)  # which has one open from its start to its end
ballast = disk / "ballast"
with ballast.open("wb") as file:
    free = shutil.disk_usage(disk).free - left
    file.write(bytes(max(0, free)))

def say(db, number):
    message = rows(db, "select id from messages where role = 'assistant'")[0]["id"]
    given = {"correction": f"{number} " * 400, "idempotency_key": f"key-{number}"}
    return add_feedback(db, message_id=message, origin="api", contributor="key:1", **given).id

acknowledged = []
try:
    with open_database(datadir.database) as db:
        for number in range(5000):
            acknowledged.append(say(db, number))
    raise SystemExit("the disk never was full")
except DiskFull as error:
    assert "nothing was saved" in str(error) or "The disk failed" in str(error), error
with open_database(datadir.database) as db:
    assert len(rows(db, "select id from messages")) == 2, "reading goes on"
ballast.unlink()
with open_database(datadir.database) as db:
    assert faults(db) == [] and audit_chain(db).kept
    saved = [row["id"] for row in rows(db, "select id from feedback where contributor = 'key:1'")]
    assert saved[: len(acknowledged)] == acknowledged and len(saved) <= len(acknowledged) + 1
    say(db, 9999)
print(len(acknowledged))
"""


@pytest.mark.parametrize("levels", [5, pytest.param(20, marks=pytest.mark.slow)])
@needs_mounts
def test_a_disk_that_fills_up_goes_on_once_there_is_room(house, tmp_path, tried, levels):
    """A disk of 3 MB of its own, filled to 0 to 1 MB free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for level in range(levels):
        tried("B11")
        own = f'mount -t tmpfs -o size=3m tmpfs {disk} && exec "$@"'
        program = [sys.executable, "-c", SMALL_DISK, disk, house.root, str(level * 2**20 // levels)]
        ran = subprocess.run(
            ["unshare", "-m", "sh", "-c", own, "-", *map(str, program)],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(Path(acts.__file__).parents[2])},
        )
        assert ran.returncode == 0, (level, ran.stderr)
