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
from tests.faults.disk import needs_strace

pytestmark = needs_strace

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
