"""The server as a process: what it says, who may be beside it, how it ends and comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from storage.database import open_database, rows
from storage.datadir import open_datadir
from storage.jobs import create_job, job, start_job
from storage.keys import create_key
from tests.assistant.command_line import write_rows
from tests.assistant.engines.faulty_server import faulty_server

ROOT = Path(__file__).parent.parent.parent


class Server:
    """A server in a process of its own, on a free port."""

    def __init__(self, data: Path, base: Path, **more: str) -> None:
        self.data = data
        self.environment = self.surroundings(data, base) | more
        self.log = data.parent / "server.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "serve", "--port", "0"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log.open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        self.second_line = self.process.stdout.readline()
        found = re.search(r"http://\S+?(?=,)", self.greeting)
        assert found, self.greeting + self.log.read_text()
        self.url = found[0]

    @staticmethod
    def surroundings(data: Path, base: Path) -> dict[str, str]:
        return {
            **os.environ,
            "APPRENTICE_DATA": str(data),
            "APPRENTICE_BASE_MODEL": str(base),
            "APPRENTICE_THREADS": "1",
        }

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "assistant", *map(str, words)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=120)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("served") / "data"


@pytest.fixture(scope="module")
def server(place, tiny_base):
    running = Server(place, tiny_base.folder)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


def test_first_start_prints_the_address_and_the_setup_link(server):
    assert "/setup?token=" in server.second_line
    link = re.search(r"http://\S+", server.second_line)[0]
    assert httpx.get(server.url + "/healthz").json()["status"] == "ok"
    assert httpx.get(link).status_code == 200


def test_command_beside_it_is_answered_by_it(server):
    done = server.run("ask", "Hello", "--max-tokens", "4", "--json")
    assert done.returncode == 0, done.stderr
    assert '"completion_tokens": 4' in done.stdout


def test_second_server_is_refused_and_names_the_first(server):
    done = server.run("serve", "--port", "0")
    assert done.returncode == 2
    assert str(server.process.pid) in done.stderr and done.stderr.count("\n") == 1


def test_port_that_is_taken(server, tmp_path):
    port = server.url.rpartition(":")[2]
    done = server.run("serve", "--data", tmp_path / "other", "--port", port)
    assert done.returncode == 2
    assert port in done.stderr and done.stderr.count("\n") == 1


def long_work(server):
    """A command beside the server that keeps it busy, once it is at it."""
    questions = [{"question": f"Q{number}"} for number in range(400)]
    path = write_rows(server.data.parent / "questions.jsonl", *questions)
    command = subprocess.Popen(
        [sys.executable, "-m", "assistant", "ask", "--file", str(path), "--max-tokens", "400"],
        cwd=ROOT,
        env=server.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    with closing(open_database(server.data / "apprentice.db")) as db:
        while not unfinished(db):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return command


def unfinished(db):
    asked = "select 1 from messages where role = 'assistant' and finish_reason is null"
    return rows(db, asked)


def test_killed_server_leaves_nothing_that_stops_the_next(server, place, tiny_base):
    """The replies it was at are marked, its jobs are failed, its lock and socket are free."""
    command = long_work(server)
    with closing(open_database(place / "apprentice.db")) as db:
        start_job(db, create_job(db, "round", 1).id, server.process.pid)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    _, said = command.communicate(timeout=120)
    assert command.returncode == 2 and "server stopped" in said and "Traceback" not in said

    again = Server(place, tiny_base.folder)
    with closing(open_database(place / "apprentice.db")) as db:
        assert not unfinished(db)
        assert rows(db, "select 1 from messages where finish_reason = 'interrupted'")
        assert job(db, 1).state == "failed"
    command = long_work(again)
    assert again.end(signal.SIGTERM) == 0  # within half a minute, with work under way
    assert "Traceback" not in command.communicate(timeout=120)[1]
    assert not (place / "server.sock").exists()
    assert "Traceback" not in again.log.read_text()


CANARY = "the heron of Ostrava"


def test_a_stop_refuses_new_questions_saves_the_running_reply_and_takes_less_than_10_s(
    tmp_path, tiny_base
):
    data = open_datadir(tmp_path / "data")
    with closing(open_database(data.database)) as db:
        key = create_key(db, "all", workspace_id=None, actor="test")[1]
    asked = {"model": "default", "messages": [{"role": "user", "content": CANARY}], "stream": True}
    with faulty_server() as slow, httpx.Client(timeout=30) as client:
        slow.fault = "goes_on"
        remote = {"APPRENTICE_ENGINE": "remote", "APPRENTICE_REMOTE_URL": slow.place.url}
        server = Server(data.root, tiny_base.folder, APPRENTICE_LOG="json", **remote)
        client.headers["Authorization"] = f"Bearer {key}"
        chat = f"{server.url}/v1/chat/completions"
        with client.stream("POST", chat, json=asked) as answer:
            lines = answer.iter_lines()
            while "word" not in next(lines):
                pass
            begun = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            while client.get(f"{server.url}/healthz").status_code == 200:
                time.sleep(0.02)
            health = client.get(f"{server.url}/healthz")
            assert (health.status_code, health.json()["status"]) == (503, "stopping")
            refused = client.post(chat, json={**asked, "stream": False})
            assert refused.status_code == 503 and "being stopped" in refused.text
            assert any("was interrupted" in line for line in lines)
        assert server.process.wait(timeout=30) == 0
        assert time.monotonic() - begun < 10
        server.process.stdout.close()
    with closing(open_database(data.database)) as db:
        (reply,) = rows(db, "select * from messages where role = 'assistant'")
    assert reply["finish_reason"] == "interrupted" and reply["content"].startswith("word word")
    log = server.log.read_text()
    said = [json.loads(line) for line in log.splitlines()]
    assert [one["status"] for one in said if one.get("door") == "v1"].count(503) == 1
    assert CANARY not in log
