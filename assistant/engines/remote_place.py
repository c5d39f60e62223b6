"""Where the server of the remote engine is, or its replicas are, and how it sees our files."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from storage.errors import BadInput

if TYPE_CHECKING:
    from assistant.settings import Settings


@dataclass(frozen=True)
class RemotePlace:
    """An OpenAI-compatible server; the key is in no `repr` and no log."""

    url: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    """Seconds of silence after which an answer is given up."""
    model: str = ""
    """The base's name on a server with several; "" takes the first that it lists."""
    data: str = "data"
    """The data directory here."""
    data_there: str = ""
    """The same directory as the server sees it; "" when it is on this machine."""
    replicas: str = ""
    """Addresses, apart by commas, of the servers behind `url`; "" when there is that one only."""
    look_every: float = 2.0
    """Seconds between two looks at the replicas."""

    def seen(self, path: Path) -> str:
        """`path` as the server sees it."""
        here, data = path.resolve(), Path(self.data).resolve()
        if self.data_there and here.is_relative_to(data):
            return str(PurePosixPath(self.data_there) / here.relative_to(data).as_posix())
        return str(here)


@dataclass(frozen=True)
class ServerAddress:
    """One server: where it is asked, and under which name where that is only a number."""

    url: str
    name: str = ""
    """Host and port as they were written, for the Host header and the certificate."""


def remote_place(settings: "Settings") -> RemotePlace:
    """What the settings say of the server."""
    return RemotePlace(
        url=settings.remote_url,
        key=settings.remote_key.get_secret_value().strip(),
        timeout=settings.remote_timeout,
        model=settings.remote_model,
        data=str(settings.data),
        data_there=settings.remote_data,
        replicas=settings.remote_replicas,
    )


def replica_addresses(
    replicas: str, before: Mapping[str, list[ServerAddress]]
) -> dict[str, list[ServerAddress]]:
    """Every server that each of the names stands for at this moment.

    A name stands for all its addresses (a headless service of Kubernetes), of which those of
    version 4 count where there are any: a server with both would be asked twice. One that cannot
    be looked up now stands for what it stood for `before`. Raises BadInput for what is no address.
    """
    written = [one.strip() for one in replicas.split(",")]
    names = [one.rstrip("/").removesuffix("/v1") for one in written if one]
    return {name: _resolved(name) or before.get(name) or [ServerAddress(name)] for name in names}


def _resolved(url: str) -> list[ServerAddress]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if not host:
        raise BadInput(
            f"APPRENTICE_REMOTE_REPLICAS has {url!r}, which is no address: give each server's like "
            "http://gpu-1:8000, apart by commas."
        )
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    found = {str(place[0]) for family, _, _, _, place in told if family == socket.AF_INET}
    found = found or {str(place[0]) for *_, place in told}
    return [_at(parts, number, port) for number in sorted(found)]


def _at(parts: SplitResult, number: str, port: int) -> ServerAddress:
    """One of a name's addresses."""
    if number == parts.hostname:
        return ServerAddress(parts.geturl())
    user, at, name = parts.netloc.rpartition("@")
    shown = f"[{number}]" if ":" in number else number
    return ServerAddress(parts._replace(netloc=f"{user}{at}{shown}:{port}").geturl(), name)
