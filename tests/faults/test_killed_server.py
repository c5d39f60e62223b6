"""The real server killed under its clients, and started twice at once (bars B2 and B9)."""

import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import httpx
import pytest

from storage.database import faults, open_database, rows
from storage.datadir import DataDirBusy, open_datadir, own
from storage.feedback_seals import broken_seals
from storage.keys import create_key
from tests.assistant.test_serve import ROOT, Server

CLIENTS = 8
FORK = get_context("fork")


class Clients:
    """Ask, judge the answer, ask again; what was not acknowledged is sent again by the same key."""

    def __init__(self, key):
        self.url = ""
        self.over = False
        self.replies: dict[str, str] = {}
        self.feedback: dict[str, int] = {}
        self.odd: list[str] = []
        self._headers = {"Authorization": f"Bearer {key}"}

    def go_on(self, number):
        """One client, until it is over."""
        with httpx.Client(headers=self._headers, timeout=20) as client:
            while not self.over:
                reply = self.until_answered(client, "chat/completions", self.question(number))
                if reply is None:
                    return
                self.replies[reply["id"]] = reply["choices"][0]["message"]["content"]
                key = str(uuid.uuid4())
                given = {"message_id": reply["id"], "correction": key, "idempotency_key": key}
                saved = self.until_answered(client, "feedback", given)
                if saved is not None:
                    self.feedback[key] = saved["id"]

    def question(self, number):
        said = f"What is number {number}?"
        return {
            "model": "default",
            "max_tokens": 4,
            "messages": [{"role": "user", "content": said}],
        }

    def until_answered(self, client, path, body):
        """The answer of a server, whichever it is by then; None when it is over."""
        while not self.over:
            try:
                answer = client.post(f"{self.url}/v1/{path}", json=body)
            except httpx.HTTPError:
                time.sleep(0.2)  # it takes seconds to start, and is not to share them
                continue
            if answer.status_code == 200:
                return answer.json()
            if answer.status_code not in (429, 503):
                self.odd.append(f"{path} {answer.status_code} {answer.text[:300]}")
            time.sleep(0.05)
        return None


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_nothing_that_a_client_was_told_is_lost(tmp_path, tiny_base, tried, kills):
    chance = random.Random(kills)
    data = open_datadir(tmp_path / "data")
    with open_database(data.database) as db:
        key = create_key(db, "all", workspace_id=None, per_minute=100_000, actor="test")[1]
    clients = Clients(key)
    with ThreadPoolExecutor(CLIENTS) as pool:
        several = [pool.submit(clients.go_on, number) for number in range(CLIENTS)]
        try:
            for _ in range(kills):
                tried("B2")
                answered(tmp_path, tiny_base, clients, chance.uniform(0, 2)).end(signal.SIGKILL)
            last = answered(tmp_path, tiny_base, clients, 0)
        finally:
            clients.over = True
        for one in several:
            one.result()
        assert last.end() == 0
    assert clients.odd == []
    assert len(clients.feedback) >= kills
    with open_database(data.database) as db:
        assert faults(db) == [] and broken_seals(db) == []
        sql = "select idempotency_key as key, id, correction from feedback"
        saved = {row["key"].rpartition(":")[2]: row for row in rows(db, sql)}
        assert len(saved) == len(rows(db, sql))
        assert {key: saved[key]["id"] for key in clients.feedback} == clients.feedback
        sql = "select 'chatcmpl-' || id as id, content from messages where role = 'assistant'"
        said = {row["id"]: row["content"] for row in rows(db, sql)}
        assert {id: said[id] for id in clients.replies} == clients.replies
        assert not rows(
            db, "select 1 from messages where role = 'assistant' and finish_reason is null"
        )


def answered(tmp_path, base, clients, seconds):
    """A server that has answered, with so many seconds more under its clients."""
    server = Server(tmp_path / "data", base.folder)
    before, clients.url = len(clients.feedback), server.url
    deadline = time.monotonic() + 120
    while len(clients.feedback) == before:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.02)
    time.sleep(seconds)
    return server


def take(datadir, go, pipe):
    """One that wants the directory, like many others at once."""
    go.wait()
    try:
        with own(datadir):
            pipe.send("owner")
            pipe.recv()
    except DataDirBusy:
        pipe.send("busy")


@pytest.mark.parametrize("trials", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_of_two_that_start_at_once_one_owns_and_a_killed_one_leaves_no_lock(datadir, tried, trials):
    for _ in range(trials):
        tried("B9")
        go, pipes, processes = FORK.Event(), [], []
        for _ in range(2):
            here, there = FORK.Pipe()
            process = FORK.Process(target=take, args=(datadir, go, there))
            process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
        go.set()
        assert sorted(pipe.recv() for pipe in pipes) == ["busy", "owner"]
        for process in processes:
            process.kill()
            process.join()
        with own(datadir):
            pass


@pytest.mark.slow
def test_of_two_servers_that_start_at_once_one_serves(tmp_path, tiny_base, tried):
    tried("B9")
    command = [sys.executable, "-m", "assistant", "serve", "--port", "0"]
    environment = Server.surroundings(tmp_path / "data", tiny_base.folder)
    both = [
        subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    threads = [threading.Thread(target=one.wait) for one in both]
    for thread in threads:
        thread.start()
    while all(one.poll() is None for one in both):
        time.sleep(0.05)
    [refused] = [one for one in both if one.poll() is not None]
    [serving] = [one for one in both if one is not refused]
    assert refused.returncode == 2
    said = refused.stderr.read()
    assert str(serving.pid) in said and said.count("\n") == 1
    serving.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    with own(open_datadir(tmp_path / "data")):
        pass
