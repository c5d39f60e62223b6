"""Feedback written while its writer is killed, and by many at once (bars B1 and B8)."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from multiprocessing import get_context

import pytest

from storage.database import faults, one, open_database, rows, write, write_transaction
from storage.feedback import add_feedback
from storage.feedback_seals import broken_seals
from storage.jobs import create_job

FORK = get_context("fork")  # nothing here has opened SQLite or begun a thread before


def write_on_demand(path, message, pipe):
    """A writer: for each key that it gets, feedback; what it sends back is acknowledged."""
    with open_database(path) as db:
        while True:
            key = pipe.recv()
            given = {"origin": "api", "contributor": "key:1", "correction": f"{key}: 30 days."}
            pipe.send(add_feedback(db, message_id=message, idempotency_key=key, **given).id)


def until_killed(path, message, first, after):
    """Key number -> id of all that a writer acknowledged that is killed after some seconds."""
    here, there = FORK.Pipe()
    writer = FORK.Process(target=write_on_demand, args=(path, message, there))
    writer.start()
    there.close()
    killer = threading.Timer(after, os.kill, (writer.pid, signal.SIGKILL))
    killer.start()
    acknowledged = {}
    with suppress(EOFError, ConnectionError):
        while True:
            number = first + len(acknowledged)
            here.send(f"key-{number}")
            acknowledged[number] = here.recv()
    killer.join()
    writer.join()
    here.close()
    return acknowledged


@pytest.mark.parametrize("kills", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_what_was_acknowledged_is_there_once(house, tried, kills):
    """The client sends again, by the same key, what was not acknowledged."""
    chance = random.Random(kills)
    with open_database(house.database) as db:
        message = rows(db, "select id from messages where role = 'assistant'")[0]["id"]
    known = {}
    for kill in range(kills):
        tried("B1")
        known |= until_killed(house.database, message, len(known), chance.uniform(0, 0.15))
        if kill % 10 == 9:
            with open_database(house.database) as db:
                assert faults(db) == [] and broken_seals(db) == []
    with open_database(house.database) as db:
        sql = "select id, idempotency_key as key, correction from feedback where contributor = ?"
        found = {row["key"]: row for row in rows(db, sql, "key:1")}
        assert len(found) == len(rows(db, sql, "key:1"))
    for number, id in known.items():
        row = found.pop(f"key-{number}")
        assert (row["id"], row["correction"]) == (id, f"key-{number}: 30 days.")
    assert len(found) <= 1  # the last one may be there without its word
    assert len(known) > kills


def count_up(path, job, times, pipe):
    """Reads, then writes what follows from it; says how long each took, in seconds."""
    took = []
    with open_database(path) as db:
        pipe.recv()
        for _ in range(times):
            begun = time.monotonic()
            with write_transaction(db):
                before = int(one(db, "select note from jobs where id = ?", job)["note"] or 0)
                write(db, "update jobs set note = ? where id = ?", str(before + 1), job)
            took.append(time.monotonic() - begun)
    pipe.send(took)


@pytest.mark.parametrize("times", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_eight_processes_that_read_and_write_lose_no_step(datadir, tried, times):
    with open_database(datadir.database) as db:
        job = create_job(db, "count", None).id
    several = []
    for _ in range(8):
        here, there = FORK.Pipe()
        process = FORK.Process(target=count_up, args=(datadir.database, job, times, there))
        process.start()
        there.close()
        several.append((here, process))
    for here, _ in several:
        here.send("go")
    took = sorted(one for here, _ in several for one in here.recv())
    for _, process in several:
        process.join()
    tried("B8", len(took))
    with open_database(datadir.database) as db:
        assert int(one(db, "select note from jobs where id = ?", job)["note"]) == 8 * times
    if times == 400:  # the short form runs beside other tests
        assert took[len(took) * 99 // 100] <= 1.0
