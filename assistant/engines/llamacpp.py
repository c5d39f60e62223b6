"""llama.cpp in this process: the engine for CPUs.

Four slots answer at once, by one adapter at a time (`turns.py`), and a prompt's beginning is read
once per slot. llama.cpp takes adapters only when it starts, so a new adapter means a second server
beside the first, with the weights mapped from the same file: new replies go to it, and the first is
closed when its last reply has ended.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.engines.families import why_not_llamacpp
from assistant.engines.grammar import lark
from assistant.engines.llama_server import LlamaServer
from assistant.engines.lora_gguf import adapter_gguf
from assistant.engines.protocol import (
    MAX_ADAPTERS,
    REPEAT_LAST,
    RUNNERS_UP,
    Chosen,
    EngineFailed,
    EngineFinish,
    NotSupported,
    Piece,
    Sampling,
    adapter_missing,
    room_for_reply,
)
from assistant.engines.turns import Turns
from storage.errors import BadInput
from storage.models import BaseModel

SLOTS = 4
"""Replies made at once; more wait. Four give 1.4 times the tokens a second of one on two cores."""

FINISH: dict[str, EngineFinish] = {"eos": "stop", "word": "stop", "limit": "length"}


class _Shift:
    """A server on duty, how many replies it is making, and whether another has taken over."""

    def __init__(self, server: LlamaServer, slots: int) -> None:
        self.server, self.turns, self.replies, self.over = server, Turns(slots), 0, False


class LlamaCpp:
    """See `protocol.Engine`."""

    name = "llamacpp"

    def __init__(self, base: BaseModel, *, threads: int, context: int, slots: int = SLOTS) -> None:
        """Start with no adapter (1.5 s at 135M with the file in memory).

        Raises BadInput for a base without a GGUF or of a family that llama.cpp is not proved to
        answer by, EngineFailed when llama.cpp does not start.
        """
        if base.gguf is None:
            raise BadInput(
                f"The base model {base.name} has no GGUF file, which llamacpp needs: "
                "use APPRENTICE_ENGINE=torch_peft."
            )
        reason = why_not_llamacpp(base.folder, context)
        if reason is not None:
            raise BadInput(
                f"llamacpp does not serve the base model {base.name}: {reason}; "
                "use APPRENTICE_ENGINE=auto or torch_peft."
            )
        self.context_length = context
        self._base, self._gguf = base, base.gguf
        self._threads, self._slots = threads, slots
        self._files: dict[int, Path] = {}  # adapter id -> GGUF, the one unused for longest first
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._shift = _Shift(self._start({}), slots)
        self._closed = False

    def stream(
        self,
        prompt_ids: Sequence[int],
        adapter_id: int | None,
        sampling: Sampling,
        stop: Sequence[str],
        cancel: threading.Event,
    ) -> Iterator[Piece]:
        """See `protocol.Engine`."""
        room = room_for_reply(len(prompt_ids), sampling.max_tokens, self.context_length)
        with self._lock:
            self._check(adapter_id)
        return self._pieces(request_body(prompt_ids, sampling, room, stop), adapter_id, cancel)

    def load(self, adapter_id: int, folder: Path) -> None:
        """See `protocol.Engine`. Takes as long as a start; replies go on meanwhile, more slowly."""
        with self._loading:
            if adapter_id in self.adapters():
                return
            new = adapter_gguf(folder, self._base.folder)
            with self._lock:
                kept = list(self._files.items())[-(MAX_ADAPTERS - 1) :]
            server = self._start({**dict(kept), adapter_id: new})
            with self._lock:
                # What was unloaded while the server started stays unloaded.
                still = {known: path for known, path in kept if known in self._files}
                self._files = {**still, adapter_id: new}
                done = self._take_over(server)
            _close(done)

    def unload(self, adapter_id: int) -> None:
        """See `protocol.Engine`. Its memory comes back when the next adapter is loaded."""
        with self._lock:
            self._files.pop(adapter_id, None)

    def adapters(self) -> set[int]:
        """See `protocol.Engine`."""
        with self._lock:
            return set(self._files)

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], adapter_id: int | None
    ) -> list[float]:
        """Always raises NotSupported."""
        raise NotSupported(
            "llamacpp gives no likelihoods: score with the torch_peft engine instead."
        )

    def close(self) -> None:
        """See `protocol.Engine`."""
        with self._loading:
            with self._lock:
                self._closed = True
                shift = self._shift
            shift.turns.close()
            shift.server.close()

    def _start(self, adapters: Mapping[int, Path]) -> LlamaServer:
        return LlamaServer(
            self._gguf,
            adapters,
            threads=self._threads,
            context=self.context_length,
            slots=self._slots,
        )

    def _check(self, adapter_id: int | None) -> None:
        if self._closed:
            raise EngineFailed("The engine has been closed: start the server again.")
        if adapter_id is not None and adapter_id not in self._files:
            raise adapter_missing(adapter_id, set(self._files))

    def _take_over(self, server: LlamaServer) -> LlamaServer | None:
        """Put `server` on duty; the one before it if nothing keeps it any more."""
        before, self._shift = self._shift, _Shift(server, self._slots)
        before.over = True
        return before.server if before.replies == 0 else None

    def _pieces(
        self, request: dict[str, Any], adapter_id: int | None, cancel: threading.Event
    ) -> Iterator[Piece]:
        with self._lock:
            self._check(adapter_id)
            if adapter_id is not None:
                self._files[adapter_id] = self._files.pop(adapter_id)
            shift = self._shift
            shift.replies += 1
        try:
            yield from _in_turn(shift, request, adapter_id, cancel)
        finally:
            with self._lock:
                shift.replies -= 1
                done = shift.server if shift.over and shift.replies == 0 else None
            _close(done)


def _in_turn(
    shift: _Shift, request: dict[str, Any], adapter_id: int | None, cancel: threading.Event
) -> Iterator[Piece]:
    if not shift.turns.enter(adapter_id, cancel):
        yield Piece("", 0, "interrupted")
        return
    left = False
    try:
        for piece in read_pieces(shift.server.events(request, adapter_id), cancel):
            if piece.finish_reason:  # its reader may be slow, or ask again before it closes this
                shift.turns.leave()
                left = True
            yield piece
    finally:
        if not left:
            shift.turns.leave()


def _close(server: LlamaServer | None) -> None:
    """Beside the reply that was the last: freeing the model takes up to 0.4 s."""
    if server is not None:
        threading.Thread(target=server.close, name="llamacpp-close").start()


def request_body(
    prompt_ids: Sequence[int], sampling: Sampling, room: int, stop: Sequence[str]
) -> dict[str, Any]:
    """What llama.cpp's `/completion` is asked, but for the adapters."""
    penalties = ["penalties"] if sampling.repeat_penalty != 1 else []
    if sampling.temperature <= 0:  # a tenth faster than temperature 0: nothing is sorted
        chosen: dict[str, Any] = {"samplers": [*penalties, "top_k"], "top_k": 1}
    else:
        chosen = {
            "samplers": [*penalties, "temperature", "top_p"],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": -1 if sampling.seed is None else sampling.seed,
        }
    return {
        "prompt": list(prompt_ids),
        "n_predict": room,
        "stop": [text for text in stop if text],
        "cache_prompt": True,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": REPEAT_LAST,
        **({"grammar": f"%llguidance {{}}\n{lark(sampling.schema)}"} if sampling.schema else {}),
        **({"n_probs": 1 + RUNNERS_UP} if sampling.runners_up else {}),
        **chosen,
    }


def read_pieces(events: Iterator[dict[str, Any]], cancel: threading.Event) -> Iterator[Piece]:
    """llama.cpp's events to pieces; it holds back half characters and beginnings of stop texts."""
    counted, ended = 0, False
    try:
        for event in events:
            if cancel.is_set():
                break
            if not event:
                continue
            new = event["tokens_predicted"] - counted
            counted += new
            ended = bool(event["stop"])
            reason = FINISH.get(event["stop_type"], "interrupted") if ended else None
            yield Piece(event["content"], new, reason, _chosen(event))
    finally:
        events.close()  # type: ignore[attr-defined]
    if not ended:
        yield Piece("", 0, "interrupted")


def _chosen(event: Mapping[str, Any]) -> tuple[Chosen, ...]:
    """Of an event that carries the tokens' likelihoods. Those of a half character are not told."""
    return tuple(
        Chosen(
            one["id"],
            one["logprob"],
            tuple((o["id"], o["logprob"]) for o in one["top_logprobs"] if o["id"] != one["id"])[
                :RUNNERS_UP
            ],
        )
        for one in event.get("completion_probabilities") or ()
    )
