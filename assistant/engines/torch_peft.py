"""transformers and PEFT: the engine for a CUDA GPU, and for bases that llama.cpp does not serve.

PEFT is not thread-safe (two threads on one model gave 9 of 12 wrong answers, without an error), so
one worker thread owns the model: it reads prompts, makes tokens, loads and unloads adapters, one
after another. Replies are made together where their adapters can share a batch (`batches.py`).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from assistant.engines.adapter_models import BASE, AdapterModels
from assistant.engines.batches import Batches
from assistant.engines.choose import has_cuda
from assistant.engines.grammar import Grammars
from assistant.engines.protocol import (
    MAX_ADAPTERS,
    EngineFailed,
    Piece,
    Sampling,
    adapter_missing,
    room_for_reply,
)
from assistant.engines.reply_text import ReplyText
from assistant.engines.rows import Row
from assistant.tokens import ChatTokenizer
from storage.errors import ApprenticeError, BadInput
from storage.models import BaseModel

TOGETHER = 16
"""Replies made at once; more wait for a place."""
ATTENTION = {"full_attention", "sliding_attention"}
"""Kinds of layers whose cache can be joined row by row."""

Command = tuple[Callable[[], Any], "Future[Any]"]


class TorchPeft:
    """See `protocol.Engine`."""

    name = "torch_peft"

    def __init__(self, base: BaseModel, *, threads: int, context: int) -> None:
        """Read the model: 4-bit (nf4) on a CUDA GPU, in its own precision on the CPU.

        Raises BadInput for an architecture that cannot be served, EngineFailed when reading fails.
        """
        config = _read_config(base)
        self.context_length = min(context, config.max_position_embeddings)
        self._tokenizer = ChatTokenizer(base.folder)
        # made when first asked for: it reads the whole vocabulary
        self._grammars = cache(lambda: Grammars(base.folder, self._tokenizer.end_ids))
        self._inbox: SimpleQueue[Row | Command] = SimpleQueue()
        self._loaded: dict[int, None] = {}  # adapter ids, the one unused for longest first
        self._retiring: set[str] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: list[Row] = []
        self._running = True
        self._models: AdapterModels | None = None
        self._device = torch.device("cuda" if has_cuda() else "cpu")
        self._rows = Batches(self._forward, self._device, self._batch_of)
        self._worker = threading.Thread(target=self._work, name="torch-engine", daemon=True)
        self._worker.start()
        try:
            self._in_worker(lambda: self._open(base, config, threads))
        except ApprenticeError:
            self.close()
            raise

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
        text = ReplyText(self._tokenizer, stop)
        grammar = self._grammars().of(sampling.schema) if sampling.schema else None
        row = Row(prompt_ids, self._use(adapter_id), sampling, room, text, cancel, grammar)
        return self._pieces(row)

    def load(self, adapter_id: int, folder: Path) -> None:
        """See `protocol.Engine`. Replies in the making pause meanwhile (20 to 200 ms)."""
        if adapter_id not in self.adapters():
            self._in_worker(lambda: self._load(adapter_id, folder))

    def unload(self, adapter_id: int) -> None:
        """See `protocol.Engine`."""
        self._in_worker(lambda: self._retire([adapter_id]))

    def adapters(self) -> set[int]:
        """See `protocol.Engine`."""
        with self._lock:
            return set(self._loaded)

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], adapter_id: int | None
    ) -> list[float]:
        """See `protocol.Engine`."""
        together = len(prompt_ids) + len(completion_ids)
        room_for_reply(together - 1, 1, self.context_length)
        name = self._use(adapter_id)
        return list(self._in_worker(lambda: self._score(prompt_ids, completion_ids, name)))

    def close(self) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            closed, self._closed = self._closed, True
            if not closed:
                self._inbox.put((self._stop, Future()))
        self._worker.join()

    def _use(self, adapter_id: int | None) -> str:
        """PEFT's name of the adapter, marked as used now."""
        if adapter_id is None:
            return BASE
        with self._lock:
            if adapter_id not in self._loaded:
                raise adapter_missing(adapter_id, set(self._loaded))
            self._loaded[adapter_id] = self._loaded.pop(adapter_id)
        return _adapter_name(adapter_id)

    def _pieces(self, row: Row) -> Iterator[Piece]:
        self._send(row)
        try:
            while True:
                piece = row.out.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if piece.finish_reason:
                    return
        finally:
            row.left.set()

    def _send(self, item: Row | Command) -> None:
        with self._lock:
            if self._closed:
                raise EngineFailed("The engine has been closed: start the server again.")
            self._inbox.put(item)

    def _in_worker(self, call: Callable[[], Any]) -> Any:
        done: Future[Any] = Future()
        self._send((call, done))
        return done.result()

    # From here on everything runs in the worker thread.

    def _work(self) -> None:
        with torch.inference_mode():
            while self._running:
                self._receive()
                try:
                    self._advance()
                except Exception as error:  # noqa: BLE001  told to every reader, the thread lives
                    self._fail(error)

    def _receive(self) -> None:
        """Take what came; wait for something when there is nothing to do."""
        idle = not self._waiting and not self._rows.rows
        while idle or not self._inbox.empty():
            idle = False
            item = self._inbox.get()
            if isinstance(item, Row):
                self._waiting.append(item)
                continue
            call, done = item
            try:
                done.set_result(call())
            except Exception as error:  # noqa: BLE001  raised again where it was asked
                done.set_exception(error)

    def _advance(self) -> None:
        for row in [*self._waiting, *self._rows.rows]:
            if row.unwanted:
                row.interrupt()
        self._waiting = [row for row in self._waiting if not row.finished]
        if not self._rows.rows and not self._waiting:
            return
        self._rows.drop_finished()
        if self._waiting and len(self._rows.rows) < TOGETHER:
            self._admit(self._waiting.pop(0))
        elif self._rows.rows:
            self._rows.step()
        if self._retiring:
            self._drop_retired()

    def _admit(self, row: Row) -> None:
        """Begin a reply; what goes wrong with its prompt is told to its own reader only."""
        name = row.adapter
        try:
            if name != BASE and name not in self._owned().names:
                # It was unloaded between the question and its turn.
                raise adapter_missing(int(name[1:]), self.adapters())
            self._rows.admit(row)
        except Exception as error:  # noqa: BLE001  raised again at the reader
            row.fail(_told(error))

    def _fail(self, error: Exception) -> None:
        for row in self._rows.rows:
            row.fail(_told(error))
        self._rows.clear()

    def _stop(self) -> None:
        for row in [*self._waiting, *self._rows.rows]:
            row.interrupt()
        self._waiting, self._running = [], False
        self._rows.clear()
        self._models = None

    def _open(self, base: BaseModel, config: Any, threads: int) -> None:
        cuda = self._device.type == "cuda"
        if not cuda:
            torch.set_num_threads(threads)
        try:
            model = AutoModelForCausalLM.from_pretrained(
                base.folder, **_precision(config, cuda), local_files_only=True
            )
            self._models = AdapterModels(model.eval())
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineFailed(
                f"The base model in {base.folder} cannot be read: {error}"
            ) from error

    def _forward(self, *, adapters: list[str], logits_to_keep: int = 1, **inputs: Any) -> Any:
        inputs = {**inputs, "use_cache": True, "logits_to_keep": logits_to_keep}
        return self._owned().forward(adapters, **inputs)

    def _owned(self) -> AdapterModels:
        if self._models is None:
            raise EngineFailed("The engine has been closed: start the server again.")
        return self._models

    def _batch_of(self, name: str) -> str:
        return self._owned().batch_of(name)

    def _load(self, adapter_id: int, folder: Path) -> None:
        name = _adapter_name(adapter_id)
        if name in self._owned().names:  # still retiring
            self._retiring.discard(name)
        else:
            self._owned().load(name, folder)
        with self._lock:
            self._loaded[adapter_id] = None
            oldest = list(self._loaded)[:-MAX_ADAPTERS]
        self._retire(oldest)

    def _retire(self, adapter_ids: list[int]) -> None:
        with self._lock:
            gone = [one for one in adapter_ids if one in self._loaded]
            for one in gone:
                del self._loaded[one]
        self._retiring.update(map(_adapter_name, gone))
        self._drop_retired()

    def _drop_retired(self) -> None:
        """Delete adapters that nobody may ask for any more and no reply uses."""
        used = {row.adapter for row in self._rows.rows}
        for name in self._retiring - used:
            self._retiring.discard(name)
            self._owned().unload(name)
            self._rows.forget(name)

    def _score(self, prompt: Sequence[int], completion: Sequence[int], name: str) -> list[float]:
        ids = torch.tensor([[*prompt, *completion]], device=self._device)
        output = self._forward(input_ids=ids, adapters=[name], logits_to_keep=len(completion) + 1)
        chances = torch.log_softmax(output.logits[0, :-1].float(), dim=-1)
        said = ids[0, -len(completion) :, None]
        return [float(value) for value in chances.gather(1, said)[:, 0]]


def _told(error: Exception) -> Exception:
    if isinstance(error, ApprenticeError):
        return error
    return EngineFailed(f"The model could not go on ({error}): ask again.")


def _read_config(base: BaseModel) -> Any:
    try:
        config = AutoConfig.from_pretrained(base.folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{base.folder}/config.json cannot be read: {error}") from error
    config = config.get_text_config()
    odd = set(getattr(config, "layer_types", None) or ()) - ATTENTION
    if odd:
        raise BadInput(
            f"The base model {base.name} has layers of the kind {', '.join(sorted(odd))}, which "
            "cannot be served: choose one with attention layers only."
        )
    return config


def _precision(config: Any, cuda: bool) -> dict[str, Any]:
    if cuda:
        four_bit = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        return {"quantization_config": four_bit, "dtype": torch.bfloat16, "device_map": {"": 0}}
    # float16 arithmetic is emulated on most CPUs; bitsandbytes' 4-bit is 3 times slower than this.
    stored = getattr(config, "dtype", None)
    return {"dtype": torch.bfloat16 if stored is torch.bfloat16 else torch.float32}


def _adapter_name(adapter_id: int) -> str:
    return f"a{adapter_id}"
