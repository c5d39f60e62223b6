"""llama.cpp in this process, by PyPI's `xllamacpp`: the engine for CPUs.

Several slots answer at once, each request with its own adapter; a prompt's prefix is cached per
slot and thrown away by llama.cpp when the slot's adapter changes. llama.cpp takes adapters only
when it starts, so a new adapter means a second server beside the first: new replies go to it, and
the first is closed when its last reply ends. 1.5 s and 350 MB for the 135M base, weights included.
"""

import queue
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import xllamacpp

from assistant.engines.lora_gguf import adapter_gguf
from assistant.engines.protocol import NotSupported, Piece, Sampling, room_for_reply
from storage.errors import ApprenticeError, BadInput, NotFound
from storage.models import BaseModel

SLOTS = 4
"""Replies made at once. Four give 1.4 times the tokens a second of one on two cores."""
ADAPTERS_KEPT = 8
"""Adapters in memory; the longest unused one goes first (10 to 20 MB each for a 135M base)."""


class EngineFailed(ApprenticeError):
    """llama.cpp refused a request or ended it with an error."""


class _Server:
    """One llama.cpp server with the adapters it was started with."""

    def __init__(self, params: Any, adapter_ids: tuple[int, ...]):
        self.native = xllamacpp.Server(params)
        self.adapter_ids = adapter_ids
        self.users = 0
        self.retired = False


class LlamaCpp:
    """An engine; see `protocol.Engine`. Thread-safe."""

    name = "llamacpp"

    def __init__(self, base: BaseModel, *, threads: int, context: int, slots: int = SLOTS):
        """Raises NotSupported for a base without a GGUF and BadInput for one that does not load."""
        if base.gguf is None:
            raise NotSupported(
                f"The base model {base.name!r} has no GGUF file, which the llamacpp engine needs; "
                "set APPRENTICE_ENGINE=torch_peft."
            )
        self.context_length = context
        self._base, self._gguf = base, base.gguf
        self._threads, self._slots = threads, slots
        self._files: dict[int, Path] = {}  # least recently used first
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._server = self._start(())

    def stream(
        self,
        prompt_ids: Sequence[int],
        adapter_id: int | None,
        sampling: Sampling,
        stop: Sequence[str],
        cancel: threading.Event,
    ) -> Iterator[Piece]:
        """See `protocol.Engine.stream`."""
        room_for_reply(len(prompt_ids), sampling.max_tokens, self.context_length)
        server = self._enter(adapter_id)
        try:
            yield from _pieces(server, _request(server, prompt_ids, adapter_id, sampling, stop), cancel)
        finally:
            self._leave(server)

    def load(self, adapter_id: int, folder: Path) -> None:
        """See `protocol.Engine.load`. Raises NotSupported for what llama.cpp cannot serve."""
        with self._loading:
            if adapter_id in self._files:
                return
            file = adapter_gguf(folder, self._base.folder)
            with self._lock:
                kept = dict(list(self._files.items())[-(ADAPTERS_KEPT - 1) :])
            self._replace({**kept, adapter_id: file})

    def unload(self, adapter_id: int) -> None:
        """See `protocol.Engine.unload`. Its memory is freed when the next adapter is loaded."""
        with self._lock:
            self._files.pop(adapter_id, None)

    def adapters(self) -> set[int]:
        """See `protocol.Engine.adapters`."""
        with self._lock:
            return set(self._files)

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], adapter_id: int | None
    ) -> list[float]:
        """Always raises NotSupported: likelihoods are computed by torch."""
        raise NotSupported("The llamacpp engine gives no likelihoods; a round computes them by torch.")

    def close(self) -> None:
        """See `protocol.Engine.close`."""
        with self._lock:
            self._server.retired = True
            self._close_if_idle(self._server)

    def _start(self, files: Sequence[tuple[int, Path]]) -> _Server:
        params = xllamacpp.CommonParams()
        params.model.path = str(self._gguf)
        params.n_ctx = self.context_length * self._slots
        params.n_parallel = self._slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.warmup = False
        params.verbosity = 0
        # The cache in memory does not know which adapter made a prefix; the slots' own does.
        params.cache_ram_mib = 0
        # It always listens on a loopback port of its own; nobody has the key.
        params.api_keys = [secrets.token_urlsafe(32)]
        params.ui = params.endpoint_props = params.endpoint_slots = False
        params.lora_adapters = [_lora(path) for _, path in files]
        params.lora_init_without_apply = True
        try:
            return _Server(params, tuple(adapter_id for adapter_id, _ in files))
        except RuntimeError as error:
            raise BadInput(
                f"llama.cpp cannot load {self._gguf} with {len(files)} adapters ({error}); "
                "the file may be damaged: `apprentice doctor` checks it."
            ) from error

    def _replace(self, files: dict[int, Path]) -> None:
        new = self._start(list(files.items()))
        with self._lock:
            old, self._server, self._files = self._server, new, files
            old.retired = True
            self._close_if_idle(old)

    def _enter(self, adapter_id: int | None) -> _Server:
        with self._lock:
            if adapter_id is not None:
                if adapter_id not in self._files:
                    raise NotFound(f"Adapter {adapter_id} is not loaded; load it first.")
                self._files[adapter_id] = self._files.pop(adapter_id)
            self._server.users += 1
            return self._server

    def _leave(self, server: _Server) -> None:
        with self._lock:
            server.users -= 1
            self._close_if_idle(server)

    def _close_if_idle(self, server: _Server) -> None:
        if server.retired and server.users == 0:
            # Freeing it joins llama.cpp's threads (0.4 s), which need not delay a reply.
            threading.Thread(target=_free, args=(server,), daemon=True).start()


def _free(server: _Server) -> None:
    server.native = None


def _lora(path: Path) -> Any:
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(path), 1.0
    return adapter


def _request(
    server: _Server,
    prompt_ids: Sequence[int],
    adapter_id: int | None,
    sampling: Sampling,
    stop: Sequence[str],
) -> dict[str, Any]:
    return {
        "prompt": list(prompt_ids),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "stop": list(stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        # Every scale is named: an empty list would mean "as the slot had it before".
        "lora": [
            {"id": number, "scale": float(known == adapter_id)}
            for number, known in enumerate(server.adapter_ids)
        ],
    }


def _pieces(server: _Server, request: dict[str, Any], cancel: threading.Event) -> Iterator[Piece]:
    """Pieces as llama.cpp makes them, in a thread of its own; closing this generator stops it."""
    heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    left = threading.Event()

    def hear(chunk: dict[str, Any]) -> bool:
        heard.put(chunk)
        return left.is_set() or cancel.is_set()

    def work() -> None:
        try:
            said = server.native.handle_completions(request, hear)
            if said and "error" in said:
                heard.put(said)
        except Exception as error:  # noqa: BLE001  crosses the thread, raised there
            heard.put({"error": {"message": str(error)}})
        finally:
            heard.put(None)

    worker = threading.Thread(target=work, name="llamacpp-reply", daemon=True)
    worker.start()
    try:
        yield from _spoken(heard, cancel)
    finally:
        left.set()
        worker.join()


def _spoken(
    heard: "queue.SimpleQueue[dict[str, Any] | None]", cancel: threading.Event
) -> Iterator[Piece]:
    counted, total, reason = 0, None, None
    while (chunk := heard.get()) is not None:
        if "error" in chunk:
            raise EngineFailed(f"llama.cpp could not answer: {chunk['error'].get('message', '')}")
        choices = chunk.get("choices") or [{}]
        total = chunk.get("usage", {}).get("completion_tokens", total)
        reason = choices[0].get("finish_reason") or reason
        text = choices[0].get("text", "")
        if text:
            counted += 1
            yield Piece(text, (0,))
        if cancel.is_set() and reason is None:
            break
    # A character of several tokens comes as one piece, so the count is set right at the end.
    rest = max((total or counted) - counted, 0)
    yield Piece("", (0,) * rest, reason if reason in ("stop", "length") else "interrupted")
