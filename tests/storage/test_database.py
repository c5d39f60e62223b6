import fcntl
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from storage import database
from storage.database import (
    DatabaseBusy,
    faults,
    insert,
    one,
    open_database,
    prepare_database,
    rows,
    write,
    write_transaction,
)
from storage.datadir import open_datadir
from storage.errors import BadInput, NotFound, Refused
from storage.jobs import create_job, job

FORK = multiprocessing.get_context("fork")


def _count(db, kind="%"):
    return one(db, "select count(*) as count from jobs where kind like ?", kind)["count"]


def test_every_connection_has_the_settings(datadir):
    with open_database(datadir.database) as db:
        settings = {
            name: db.conn.execute(f"pragma {name}").fetchone()[0]
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "trusted_schema",
                "cell_size_check",
                "secure_delete",
            )
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 10000,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "secure_delete": 1,
    }


def test_the_file_is_for_its_owner_only(datadir):
    assert datadir.database.stat().st_mode & 0o777 == 0o600


def test_a_missing_file_is_named_and_not_made(tmp_path):
    with pytest.raises(NotFound, match="nowhere.db"):
        open_database(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()


def test_a_file_that_is_not_sqlite_is_refused_and_kept(tmp_path):
    path = tmp_path / "apprentice.db"
    path.write_bytes(b"these are notes, not a database. " * 40)
    with pytest.raises(BadInput, match="apprentice.db.*not a database"):
        prepare_database(path)
    assert path.read_bytes().startswith(b"these are notes")


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be written"):
        prepare_database(tmp_path)


def test_a_directory_opened_again_leaves_this_processs_locks(datadir):
    """Another process that closes the database last takes the log away; what is written goes on.

    Closing any handle on the file would take this process's locks from it (POSIX).
    """
    with closing(open_database(datadir.database)) as db:
        open_datadir(datadir.root)
        _count_elsewhere(datadir.database)
        with write_transaction(db):
            insert(db, "jobs", kind="kept")
        assert _count_elsewhere(datadir.database) == 1


def _count_elsewhere(path):
    """How many jobs another process finds there; it closes the database then."""
    code = (
        "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db:\n"
        "    print(db.execute('select count(*) from jobs').fetchone()[0])\ndb.close()"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    return int(done.stdout)


def test_a_transaction_is_whole_or_not_at_all(db):
    with pytest.raises(ZeroDivisionError), write_transaction(db):
        insert(db, "jobs", kind="lost")
        raise ZeroDivisionError
    assert _count(db) == 0
    assert not db.conn.in_transaction


def test_a_nested_transaction_can_fail_alone(db):
    with write_transaction(db):
        insert(db, "jobs", kind="outer")
        with pytest.raises(ZeroDivisionError), write_transaction(db):
            insert(db, "jobs", kind="inner")
            raise ZeroDivisionError
    assert [row["kind"] for row in rows(db, "select kind from jobs")] == ["outer"]


def test_an_outer_failure_takes_finished_inner_ones_with_it(db):
    with pytest.raises(ZeroDivisionError), write_transaction(db):
        create_job(db, "inner", None)
        raise ZeroDivisionError
    assert _count(db) == 0


def test_writing_outside_a_transaction_is_a_bug(db):
    with pytest.raises(AssertionError):
        insert(db, "jobs", kind="stray")
    with pytest.raises(AssertionError):
        write(db, "update jobs set kind = 'x'")


def _write_many(path, name, count):
    # reads first, then writes: what a deferred transaction loses
    with open_database(path) as db:
        for number in range(count):
            with write_transaction(db):
                before = _count(db, f"{name}-%")
                assert before == number
                insert(db, "jobs", kind=f"{name}-{number}")


def test_eight_threads_and_four_processes_lose_nothing(datadir):
    # forked before the threads start; each opens its own connection
    processes = [
        FORK.Process(target=_write_many, args=(datadir.database, f"process{n}", 15))
        for n in range(4)
    ]
    threads = [
        threading.Thread(target=_write_many, args=(datadir.database, f"thread{n}", 15))
        for n in range(8)
    ]
    for worker in [*processes, *threads]:
        worker.start()
    for worker in [*processes, *threads]:
        worker.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with open_database(datadir.database) as db:
        assert _count(db) == 12 * 15
        assert faults(db) == []


def _write_and_say(path, pipe):
    with open_database(path) as db:
        while True:
            pipe.send(create_job(db, "kept", None).id)


def test_what_was_acknowledged_survives_a_kill(datadir):
    for _ in range(3):
        here, there = FORK.Pipe()
        process = FORK.Process(target=_write_and_say, args=(datadir.database, there))
        process.start()
        there.close()
        said = [here.recv() for _ in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while here.poll():
            try:
                said.append(here.recv())
            except EOFError:
                break
        with open_database(datadir.database) as db:
            assert [job(db, job_id).kind for job_id in said] == ["kept"] * len(said)
            assert faults(db) == []


def test_a_writer_that_waits_too_long_is_told_so(datadir, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with open_database(datadir.database) as first, open_database(datadir.database) as other:
        with (
            write_transaction(first),
            pytest.raises(DatabaseBusy, match="nothing was saved"),
            write_transaction(other),
        ):
            pass
        create_job(other, "later", None)


def test_writers_queue_on_the_lock_file(datadir, db, monkeypatch):
    """Not only on SQLite's own lock, which is free while a commit's checkpoint goes on."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with open(f"{datadir.database}-writer", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DatabaseBusy), write_transaction(db):
            pass
    create_job(db, "later", None)


def test_another_tool_that_holds_the_file_is_waited_for_too(datadir, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with (
        closing(sqlite3.connect(datadir.database, isolation_level=None)) as tool,
        open_database(datadir.database) as db,
    ):
        tool.execute("begin immediate")
        with pytest.raises(Refused, match="busy"), write_transaction(db):
            pass
        tool.execute("rollback")
        create_job(db, "later", None)


def test_a_reader_is_not_held_up_by_a_writer(datadir):
    with open_database(datadir.database) as writer, open_database(datadir.database) as reader:
        with write_transaction(writer):
            insert(writer, "jobs", kind="unseen")
            assert _count(reader) == 0
        assert _count(reader) == 1


def test_a_connection_stays_with_its_thread(db):
    failures = []

    def use():
        try:
            _count(db)
        except sqlite3.ProgrammingError as error:
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(failures) == 1


def test_faults_names_a_row_that_points_nowhere(db):
    db.conn.execute("pragma foreign_keys = off")
    with write_transaction(db):
        insert(db, "jobs", kind="stray", workspace_id=99)
    assert faults(db) == ["jobs row 1 points to a missing row of workspaces"]


def test_the_clock_is_iso_utc_with_milliseconds(db):
    created = create_job(db, "x", None).created_at
    assert created[:16] == time.strftime("%Y-%m-%dT%H:%M", time.gmtime()) or created[14:16] == "59"
    assert len(created) == 24 and created.endswith("Z")
