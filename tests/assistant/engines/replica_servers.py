"""Servers that load adapters, each a process that can be killed and started again, and a balancer.

Their processes come from one that has read the libraries already, so a server is there in less
than a second.
"""

import contextlib
import itertools
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.assistant.engines.model_servers import KEY
from tests.forks import forks

HEADERS = {"Authorization": f"Bearer {KEY}"}


def serve(folder: str, host: str, port: int) -> None:
    from tests.assistant.engines import lora_server

    lora_server.serve(folder, KEY, host, port)


class ReplicaServer:
    """One server; `kill` takes what it has loaded with it."""

    ready_s = 90.0

    def __init__(self, base: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.base, self.host, self.port = base, host, port or free_port(host)
        self._process = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        given = (str(self.base), self.host, self.port)
        self._process = forks().Process(target=serve, args=given)
        self._process.start()

    def ready(self) -> "ReplicaServer":
        until = time.monotonic() + self.ready_s
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                self.names()
                return self
            time.sleep(0.05)
        raise TimeoutError(f"{self.url} did not start")

    def names(self) -> set[str]:
        """The adapters that it has."""
        listed = httpx.get(f"{self.url}/v1/models", headers=HEADERS, timeout=30).json()["data"]
        return {card["id"] for card in listed if card["parent"]}

    def running(self) -> int:
        """Replies that it is saying now."""
        return httpx.get(f"{self.url}/load", headers=HEADERS, timeout=30).json()["running"]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It takes connections and says nothing."""
        os.kill(self.process_id, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process_id, signal.SIGCONT)

    @property
    def process_id(self) -> int:
        """Of the process that takes connections."""
        return self._process.pid

    def load(self, name: str, folder: Path) -> None:
        """As somebody else would."""
        asked = {"lora_name": name, "lora_path": str(folder)}
        url = f"{self.url}/v1/load_lora_adapter"
        httpx.post(url, json=asked, headers=HEADERS, timeout=60).raise_for_status()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


@contextmanager
def three(kind: type[ReplicaServer], base: Path) -> Iterator[list[ReplicaServer]]:
    """Three of a kind, ready, on one port of three addresses."""
    with ExitStack() as stack:
        made = [kind(base)]
        made += [kind(base, f"127.0.0.{number}", made[0].port) for number in (2, 3)]
        for one in made:
            one.start()
            stack.callback(one.kill)
        yield [one.ready() for one in made]


class Balancer(socketserver.ThreadingTCPServer):
    """Every connection to the next server, whether that is there or not."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, servers: list[ReplicaServer]) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.servers = servers
        self.turns = itertools.count()
        self.taken = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Relay(socketserver.BaseRequestHandler):
    server: Balancer

    def handle(self) -> None:
        one = self.server.servers[next(self.server.turns) % len(self.server.servers)]
        self.server.taken += 1
        try:
            with socket.create_connection((one.host, one.port)) as behind:
                back = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
                back.start()
                _copy(self.request, behind)
                back.join()
        except ConnectionError:
            return  # the client finds its connection closed


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as free:
        return free.getsockname()[1]


@contextmanager
def balanced(servers: list[ReplicaServer]) -> Iterator[Balancer]:
    with Balancer(servers) as balancer:
        serving = threading.Thread(target=balancer.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield balancer
        finally:
            balancer.shutdown()
            serving.join()
