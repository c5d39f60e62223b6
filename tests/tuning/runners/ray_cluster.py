"""A real Ray cluster on this machine: a head that trains nothing, and nodes that can be killed.

With `apart` each node has a network of its own (a namespace with one end of a cable), as machines
have: they see each other by address alone.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import psutil

STORE_BYTES = 100_000_000
START_S = 300.0
TRIES = 4
NET = "10.213.77"
"""Addresses of the nodes that are apart: .1 is this machine's end."""


class Cluster:
    """`address` is its dashboard's; nodes are added and killed."""

    def __init__(self, folder: Path, *, apart: bool) -> None:
        self.folder, self._apart = folder, apart
        self._port, self._dashboard = _free_port(), _free_port()
        self.nodes: list[subprocess.Popen[bytes]] = []
        self._host = f"{NET}.2" if apart else "127.0.0.1"
        self.address = f"http://{self._host}:{self._dashboard}"
        self.token = secrets.token_hex(32)
        told = {"Authorization": f"Bearer {self.token}"}
        self._client = httpx.Client(timeout=30, trust_env=False, headers=told)

    def start(self) -> None:
        """The head, with no CPU to train on."""
        self._ray(
            "--head",
            f"--port={self._port}",
            "--dashboard-host=0.0.0.0",
            f"--dashboard-port={self._dashboard}",
            f"--temp-dir={self.folder}",
            cpus=0,
        )
        _until(lambda: self._alive() == 1)

    def add(self, cpus: int = 1) -> int:
        """One more node; its number. Ray gives one 30 s to start, so on a busy machine again."""
        before = self._alive()
        for _ in range(TRIES):
            self._ray(f"--address={self._host}:{self._port}", cpus=cpus)
            node = self.nodes[-1]
            _until(lambda node=node: self._alive() == before + 1 or node.poll() is not None)
            if node.poll() is None:
                return len(self.nodes) - 1
            self.nodes.pop()
        raise AssertionError(f"no node started; why is in {self.folder}")

    def kill(self, number: int) -> None:
        """All processes of a node at once, as a machine's power: stopped first, for one that sees
        another die would say so."""
        node = psutil.Process(self.nodes[number].pid)
        whole = [node, *node.children(recursive=True)]
        for how in (signal.SIGSTOP, signal.SIGKILL):
            for process in whole:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(how)
        self.nodes[number].wait()

    def trains(self, number: int) -> bool:
        """Whether a training is at work on that node."""
        with suppress(psutil.NoSuchProcess):
            node = psutil.Process(self.nodes[number].pid)
            return any("tuning.run" in one.cmdline() for one in node.children(recursive=True))
        return False

    def close(self) -> None:
        """Kills what is left of it, the head last."""
        for number in reversed(range(len(self.nodes))):
            with suppress(psutil.NoSuchProcess):
                self.kill(number)

    def _ray(self, *how: str, cpus: int) -> None:
        number = len(self.nodes)
        inside = ["ip", "netns", "exec", _space(number)] if self._apart else []
        host = f"{NET}.{number + 2}" if self._apart else "127.0.0.1"
        log = (self.folder / f"node-{number}.log").open("wb")
        with log:
            self.nodes.append(
                subprocess.Popen(
                    [
                        *inside,
                        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                        *how,
                        f"--node-ip-address={host}",
                        f"--num-cpus={cpus}",
                        "--num-gpus=0",
                        f"--object-store-memory={STORE_BYTES}",
                        f"--dashboard-agent-listen-port={_free_port()}",
                        "--disable-usage-stats",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.folder,
                    env=_environment(self.token),
                )
            )

    def _alive(self) -> int:
        try:
            said = self._client.get(f"{self.address}/nodes?view=summary").json()
            nodes = said["data"]["summary"]
            return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)
        except (httpx.HTTPError, ValueError, KeyError):
            return 0


@contextmanager
def running(*, cpus: tuple[int, ...] = (1, 1), apart: bool = False) -> Iterator[Cluster]:
    """A cluster with a node for each number of CPUs; gone afterwards with all that it wrote."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: a socket's path has 107 letters
    with _cables(1 + len(cpus)) if apart else nullcontext():
        cluster = Cluster(folder, apart=apart)
        try:
            cluster.start()
            for one in cpus:
                cluster.add(one)
            yield cluster
        finally:
            cluster.close()
            shutil.rmtree(folder, ignore_errors=True)


def may_be_apart() -> bool:
    """Whether this process may make network namespaces."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = _space(99)
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    return made


@contextmanager
def _cables(count: int) -> Iterator[None]:
    """So many namespaces, each with an end of a cable to one bridge here."""
    bridge = f"ap{os.getpid()}b"
    ends = [f"ap{os.getpid()}h{number}" for number in range(count)]
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{NET}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, here in enumerate(ends):
            space, there = _space(number), f"ap{os.getpid()}t{number}"
            _ip("netns", "add", space)
            _ip("link", "add", here, "type", "veth", "peer", "name", there)
            _ip("link", "set", there, "netns", space)
            _ip("link", "set", here, "master", bridge, "up")
            _ip("-n", space, "addr", "add", f"{NET}.{number + 2}/24", "dev", there)
            _ip("-n", space, "link", "set", there, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        yield
    finally:
        for link in (*ends, bridge):
            subprocess.run(["ip", "link", "delete", link], capture_output=True)
        for number in range(count):
            subprocess.run(["ip", "netns", "delete", _space(number)], capture_output=True)


def _ip(*how: str) -> None:
    subprocess.run(["ip", *how], check=True, capture_output=True)


def _space(number: int) -> str:
    return f"apprentice-{os.getpid()}-{number}"


def _environment(token: str) -> dict[str, str]:
    """Ray's processes find this Python first, and none of our sources: those are sent."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    own = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": path,
        "PYTHONPATH": os.pathsep.join(place for place in own if Path(place).is_absolute()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",  # Ray's own choice where a dashboard is reached from elsewhere
        "RAY_AUTH_TOKEN": token,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not there():
        assert time.monotonic() < deadline, "the cluster did not start"
        time.sleep(0.5)
