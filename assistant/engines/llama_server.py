"""One llama.cpp server inside this process, spoken to over a Unix socket that only we can open.

PyPI's `xllamacpp` starts it. Its own in-process call gives text only and cannot be left while a
long prompt is read; over the socket a request is left by closing the connection, which frees its
slot. No TCP port is opened.
"""

import contextlib
import ctypes
import importlib.util
import json
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from assistant.engines.protocol import EngineFailed
from assistant.openmp import be_fair_to_others

TICK_S = 0.1
"""How often a silent stream looks whether it should go on."""
BATCH = 256
"""Prompt tokens read in one go; between two goes the other replies get a token each."""
EVENT, FAILED = b"data: ", b"error: "


class LlamaServer:
    """A model with the adapters it was started with; llama.cpp takes adapters only then.

    `adapters` maps adapter id to GGUF file, `context` is in tokens for each of the `slots`.
    Raises EngineFailed when llama.cpp does not start.
    """

    def __init__(
        self, gguf: Path, adapters: Mapping[int, Path], *, threads: int, context: int, slots: int
    ) -> None:
        self.adapter_ids = tuple(adapters)
        self._folder = Path(tempfile.mkdtemp(prefix="apprentice-"))  # mode 0700
        self._tidy = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._address = str(self._folder / "llama.sock")  # the ending says that it is no host
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        library = _library()
        params = _params(library, gguf, threads=threads, context=context, slots=slots)
        params.hostnames = [self._address]
        params.lora_adapters = [_lora(library, path) for path in adapters.values()]
        params.lora_init_without_apply = True
        try:
            self._native = library.Server(params)
        except RuntimeError as error:
            self._tidy()
            raise EngineFailed(
                f"llama.cpp cannot load {gguf} with {len(adapters)} adapters ({error}): "
                "`apprentice doctor` checks the files."
            ) from error
        # Its loop starts in a thread of its own, and a server freed before that hangs for ever
        # (1 of 50 times); this question is answered by the loop.
        self._wait_for_loop()

    def events(self, request: dict[str, Any], adapter_id: int | None) -> Iterator[dict[str, Any]]:
        """What llama.cpp says to a `/completion` request, and {} whenever it is silent for a tick.

        Ends without a last word when the server is closed meanwhile; closing the iterator frees
        the slot. Raises EngineFailed for an error that llama.cpp tells.
        """
        # Every scale is named: with an empty list llama.cpp applies all adapters at once.
        scales = [
            {"id": index, "scale": float(known == adapter_id)}
            for index, known in enumerate(self.adapter_ids)
        ]
        body = json.dumps({**request, "lora": scales, "stream": True}).encode()
        connection = self._connect()
        try:
            with contextlib.suppress(ConnectionError):
                connection.sendall(_head("POST /completion", len(body)) + body)
                yield from _events(connection)
        finally:
            self._hang_up(connection)

    def close(self) -> None:
        """Stop and free the model (0.1 to 0.4 s); streams end without a last word."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        del self._native
        self._tidy()

    def _wait_for_loop(self) -> None:
        connection = self._connect()
        connection.sendall(_head("GET /lora-adapters", 0))
        for line in _lines(connection):
            if line is not None:
                break
        self._hang_up(connection)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._lock:
            if self._closed:
                raise EngineFailed("The engine has been closed: start the server again.")
            self._connections.add(connection)
            connection.connect(self._address)
        connection.settimeout(TICK_S)
        return connection

    def _hang_up(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
        connection.close()


def _library() -> ModuleType:
    """xllamacpp, with the libgomp that torch brings along: Debian's slim images have none."""
    be_fair_to_others()
    torch = importlib.util.find_spec("torch")
    for folder in (torch and torch.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(Path(folder) / "lib" / "libgomp.so.1"), mode=ctypes.RTLD_GLOBAL)
    try:
        import xllamacpp
    except ImportError as error:
        raise EngineFailed(
            f"llama.cpp cannot be loaded ({error}): install libgomp1, or use "
            "APPRENTICE_ENGINE=torch_peft."
        ) from error
    return xllamacpp


def _params(library: ModuleType, gguf: Path, *, threads: int, context: int, slots: int) -> Any:
    params = library.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel = context * slots, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_batch = params.n_ubatch = BATCH
    params.n_gpu_layers = 0
    params.warmup = False
    params.verbosity = -1
    # The cache of finished prompts in memory does not know which adapter made them; what a slot
    # keeps is thrown away by llama.cpp when the slot's adapter changes.
    params.cache_ram_mib = 0
    params.ui = params.endpoint_slots = params.endpoint_props = False
    return params


def _lora(library: ModuleType, path: Path) -> Any:
    info = library.CommonAdapterLoraInfo()
    info.path, info.scale = str(path), 1.0
    return info


def _head(what: str, length: int) -> bytes:
    return (
        f"{what} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


def _events(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """Each event is a line of its own in the chunked answer, so the chunk sizes are passed over."""
    lines = _lines(connection)
    status = b""
    for line in lines:
        if line is None:
            yield {}
        elif not status:
            status = line
            if b" 200 " not in status:
                raise EngineFailed(f"llama.cpp refused the request: {_said(lines)}")
        elif line.startswith(EVENT):
            event = json.loads(line.removeprefix(EVENT))
            if "error" in event:
                raise EngineFailed(f"llama.cpp stopped: {event['error'].get('message')}")
            yield event
            if event.get("stop"):
                return
        elif line.startswith(FAILED):
            raise EngineFailed(f"llama.cpp stopped: {line.decode(errors='replace')}")


def _lines(connection: socket.socket) -> Iterator[bytes | None]:
    """Lines as they come; None when nothing came for a tick."""
    rest = b""
    while True:
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            yield None
            continue
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        if not data:
            yield rest
            return


def _said(lines: Iterator[bytes | None]) -> str:
    """The message in an error's JSON body, or the whole of it."""
    body = b"\n".join(line for line in lines if line).decode(errors="replace")
    with contextlib.suppress(ValueError, LookupError):
        return str(json.loads(body[body.index("{") :])["error"]["message"])
    return body[-300:]
