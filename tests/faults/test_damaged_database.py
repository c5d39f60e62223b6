"""A database that the disk has damaged: found at the start, and a copy is at hand (bar B13)."""

import os
import random
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.backup import make_backup
from storage.database import open_database, rows, write, write_transaction
from storage.datadir import DataDir
from storage.errors import ApprenticeError
from storage.feedback import add_feedback, approve, feedback
from storage.feedback_seals import broken_seals
from storage.soundness import DatabaseDamaged, newest_backup, refuse_damaged

ROOT = Path(__file__).parents[2]
ROWS = 120


@pytest.fixture
def full(house) -> DataDir:
    """A hundred corrections, all in the one file: nothing waits in the log."""
    with open_database(house.database) as db:
        message = rows(db, "select id from messages where role = 'assistant'")[0]["id"]
        for number in range(ROWS):
            given = {"correction": said(number), "comment": f"comment {number} " * 9}
            add_feedback(db, message_id=message, origin="api", contributor="key:1", **given)
        db.conn.execute("vacuum")
        db.conn.execute("pragma wal_checkpoint(truncate)")
    return house


def said(number):
    return f"correction {number:04d} says: {number * 7919} days, and not a day more."


def beside(full, content) -> DataDir:
    """The directory, with this as its database and no log."""
    for path in full.root.glob("apprentice.db*"):
        path.unlink()
    full.database.write_bytes(content)
    return full


@pytest.mark.parametrize("trials", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_page_that_was_overwritten_is_found(full, tried, trials):
    sound, chance = full.database.read_bytes(), random.Random(trials)
    refuse_damaged(full)
    for _ in range(trials):
        tried("B13")
        page = chance.randrange(len(sound) // 4096) * 4096
        content = sound[:page] + chance.randbytes(4096) + sound[page + 4096 :]
        with pytest.raises(DatabaseDamaged, match="is damaged"):
            refuse_damaged(beside(full, content))


@pytest.mark.parametrize("trials", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_feedback_is_found(full, tried, trials):
    """Where SQLite itself notices nothing, the row's own hash does."""
    sound, chance = full.database.read_bytes(), random.Random(trials)
    with open_database(full.database) as db:
        first = int(
            rows(db, "select min(id) as id from feedback where contributor = 'key:1'")[0]["id"]
        )
        assert broken_seals(db) == []
    for _ in range(trials):
        tried("B13")
        number = chance.randrange(ROWS)
        at = sound.index(said(number).encode()) + chance.randrange(len(said(number)))
        flipped = bytearray(sound)
        flipped[at] ^= 1 << chance.randrange(8)
        with open_database(beside(full, flipped).database) as db:
            assert broken_seals(db) == [first + number]


def test_what_the_house_changes_stays_sealed(full):
    with open_database(full.database) as db:
        for number in (1, 5, 9):
            approve(db, number, reviewer="user:2", correction=f"{number} days.")
        assert broken_seals(db) == [] and feedback(db, 5).approved_correction == "5 days."
        with write_transaction(db):
            write(db, "update feedback set correction = 'somebody else' where id = 5")
        assert broken_seals(db) == [5]


def test_the_newest_copy_that_verifies_is_named(full, tmp_path):
    make_backup(full, full.backups / "first.tar", actor="user:9")
    make_backup(full, tmp_path / "second.tar.gz", actor="user:9")
    make_backup(full, full.backups / "third.tar", actor="user:9")
    os.truncate(full.backups / "third.tar", 5000)
    assert newest_backup(full)[0] == tmp_path / "second.tar.gz"
    (tmp_path / "second.tar.gz").unlink()
    assert newest_backup(full)[0] == full.backups / "first.tar"
    (full.backups / "first.tar").unlink()
    content = bytearray(full.database.read_bytes())
    content[4096 * 9 : 4096 * 10] = bytes(4096)
    with pytest.raises(DatabaseDamaged, match=r"restore FILE --data NEW.*\.recover"):
        refuse_damaged(beside(full, content))


def test_the_server_says_so_and_what_it_says_brings_a_copy_back(full):
    """What stands between backticks is typed as it stands."""
    make_backup(full, full.backups / "kept.tar", actor="user:9")
    with closing(sqlite3.connect(full.database)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        [page] = connection.execute(
            "select rootpage from sqlite_schema where name = 'feedback'"
        ).fetchone()
    with full.database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    damaged = full.database.read_bytes()
    served = typed(f"apprentice serve --port 0 --data {full.root}")
    assert served.returncode == 2 and served.stderr.count("\n") == 1, served.stderr
    assert full.database.read_bytes() == damaged
    listed = typed(f"apprentice feedback list --data {full.root}")
    assert listed.returncode == 2 and "Traceback" not in listed.stderr, listed.stderr
    move, restore = re.findall("`([^`]+)`", served.stderr)
    for command in (move, restore):
        done = typed(command)
        assert done.returncode == 0, done.stderr
    refuse_damaged(full)
    with open_database(full.database) as db:
        assert feedback(db, 7).correction == said(5)
    assert full.root.with_name("data.damaged").is_dir()


def typed(command):
    """A command as a person types it."""
    words = shlex.split(command)
    if words[0] == "apprentice":
        words[:1] = [sys.executable, "-m", "assistant"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def test_a_damaged_file_is_no_fault_of_the_house(full):
    content = bytearray(full.database.read_bytes())
    content[:4096] = os.urandom(4096)
    with pytest.raises(ApprenticeError):
        refuse_damaged(beside(full, content))
