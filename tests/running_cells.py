"""Cells with their servers, each in a process of its own, and who asks them all the time."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.fleet import NAME, known, owners

ROOT = Path(__file__).parent.parent


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


def environment(folder: Path, base: Path) -> dict[str, str]:
    """What servers and commands of the fleet in `folder` are started with."""
    return {
        **os.environ,
        "APPRENTICE_CELLS": str(folder / "cells.db"),
        "APPRENTICE_BASE_MODEL": str(base),
        "APPRENTICE_THREADS": "1",
        "APPRENTICE_REQUESTS_PER_SECOND": "0",
        "APPRENTICE_DATA": str(folder / "unused"),
    }


@contextmanager
def servers(folder: Path, base: Path, names: str = "ab") -> Iterator[dict[str, subprocess.Popen]]:
    """`apprentice serve --cell NAME` for each; they answer when the block begins."""
    words = [sys.executable, "-m", "assistant", "serve", "--cell"]
    started: dict[str, subprocess.Popen] = {}
    try:
        for name in names:
            log = (folder / f"{name}.log").open("w")
            started[name] = subprocess.Popen(
                [*words, name], cwd=ROOT, env=environment(folder, base), stdout=log, stderr=log
            )
        for name, process in started.items():
            _until_ready(known(folder, name).address, process, folder / f"{name}.log")
        yield started
    finally:
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        for process in started.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_ready(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/healthz").json()["ready"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def move_by_command(folder: Path, base: Path, to: str) -> subprocess.CompletedProcess[str]:
    """`apprentice cells move`, in a process of its own."""
    words = ["--json", "cells", "move", NAME, "--to", to]
    return subprocess.run(
        [sys.executable, "-m", "assistant", *words],
        cwd=ROOT,
        env=environment(folder, base),
        capture_output=True,
        text=True,
    )


def straight(folder: Path) -> Callable[[], str]:
    """The address of the cell that answers at this moment, as a router finds it in its file."""
    known_now = {"to": owners(folder)[0]}

    def address() -> str:
        found = owners(folder)
        if found:
            known_now["to"] = found[0]
        return known(folder, known_now["to"]).address

    return address


@dataclass
class Asker:
    """Asks by the API without a pause, and again what was not answered; keeps what was."""

    token: str
    address: Callable[[], str]
    host: str = ""
    answered: list[tuple[str, str]] = field(default_factory=list)
    """(question, answer) of what got a 200."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Status and Retry-After of the others."""

    def ask(self, question: str, http: httpx.Client) -> None:
        """One question, until it is answered."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.host:
            headers["Host"] = self.host
        body = {"model": NAME, "messages": [{"role": "user", "content": question}]}
        while True:
            url = f"{self.address()}/v1/chat/completions"
            said = http.post(url, json={**body, "max_tokens": 4}, headers=headers)
            if said.status_code == 200:
                answer = said.json()["choices"][0]["message"]["content"]
                self.answered.append((question, answer))
                return
            self.refused.append((said.status_code, said.headers.get("Retry-After", "")))
            time.sleep(0.05)

    def run(self, who: str, stop: threading.Event) -> None:
        """Until `stop` is set; then the last one is answered."""
        with httpx.Client(timeout=60) as http:
            number = 0
            while not stop.is_set():
                self.ask(f"question {who}-{number}", http)
                number += 1


@dataclass
class Looker:
    """Looks 50 times a second whether the workspace is answered for."""

    token: str
    address: Callable[[], str]
    host: str = ""
    longest_s: float = 0.0
    """The longest time in which nobody did."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if self.host:
            headers["Host"] = self.host
        good = time.monotonic()
        with httpx.Client(timeout=10) as http:
            while not stop.wait(0.02):
                try:
                    said = http.get(f"{self.address()}/v1/models", headers=headers)
                except httpx.TransportError:
                    continue
                if said.status_code == 200 and said.json()["data"]:
                    self.longest_s = max(self.longest_s, time.monotonic() - good)
                    good = time.monotonic()


@contextmanager
def asked_all_the_time(askers: list[Asker], looker: Looker) -> Iterator[None]:
    """While the block runs; at its end everybody has an answer to their last question."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=one.run, args=(f"{id(one)}", stop), daemon=True) for one in askers
    ]
    threads.append(threading.Thread(target=looker.run, args=(stop,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
