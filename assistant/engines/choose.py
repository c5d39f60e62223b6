"""Which engine serves a base model on this machine."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.engines.families import why_not_llamacpp
from assistant.engines.protocol import Engine
from assistant.engines.remote_place import RemotePlace
from assistant.space import on_zero_gpu
from storage.errors import BadInput
from storage.models import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuning.adapter_kinds import Kind

log = logging.getLogger(__name__)

ENGINES = ("llamacpp", "torch_peft", "remote")
PLAIN = ("lora", "rslora")
"""Kinds of adapters that llama.cpp and vLLM have a form for."""
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""What a driver for NVIDIA's GPUs shows (Linux, WSL). Importing torch to ask takes 2 to 4 s."""


def open_engine(
    base: BaseModel,
    *,
    engine: str = "auto",
    threads: int,
    context: int = 2048,
    at_once: int | None = None,
    remote: RemotePlace | None = None,
) -> Engine:
    """Start the engine for `base`.

    `auto` takes torch_peft on a CUDA GPU, else llamacpp when the base has a GGUF and is of a
    family that llama.cpp is proved to answer by (`families.py`), else torch_peft.
    `threads` answer on the CPU; `context` is in tokens, prompt and reply together. `at_once` limits
    the places llamacpp has for replies: with one, what a place remembers of earlier prompts is the
    same in every run, and so are the last bits of its sums. `remote` is where the server of the
    engine `remote` is. Raises BadInput for an unknown engine or one that cannot serve this base,
    EngineFailed when it does not start.
    """
    chosen = best_engine(base, context) if engine == "auto" else engine
    if chosen not in ENGINES:
        names = ", ".join(ENGINES[:-1])
        raise BadInput(f"The engine {engine!r} is not known: use auto, {names} or {ENGINES[-1]}.")
    more: dict[str, Any] = {"slots": at_once} if at_once and chosen == "llamacpp" else {}
    if chosen == "remote":
        more = {"place": remote or RemotePlace("")}
    return _opener(chosen)(base, threads=threads, context=context, **more)


def best_engine(base: BaseModel, context: int) -> str:
    """The engine that `auto` means for `base` on this machine, with so many tokens of context."""
    if base.gguf is None or has_cuda():
        return "torch_peft"
    reason = why_not_llamacpp(base.folder, context)
    if reason is not None:
        log.info("torch_peft answers by %s, not llamacpp: %s", base.name, reason)
    return "torch_peft" if reason else "llamacpp"


def serving_engine(base: BaseModel, engine: str, kind: "Kind", context: int) -> str:
    """The engine that answers by adapters of `kind` where the setting is `engine`."""
    if engine != "auto":
        return engine
    running = best_engine(base, context)
    return engine_beside(running, kind) or running


def engine_beside(running: str, kind: "Kind") -> str | None:
    """The engine that must serve adapters of `kind` beside the one `running`; None if it can.

    llamacpp and other machines' servers have a form for LoRA and rsLoRA only.
    """
    return None if running == "torch_peft" or kind in PLAIN else "torch_peft"


def judging_engine(base: BaseModel, engine: str, remote: RemotePlace | None) -> str:
    """The engine that answers for a round where the setting is `engine`.

    Where a model server takes no adapter while it runs, as llama.cpp's, a candidate is judged here.
    Raises EngineFailed when the server is away.
    """
    if engine != "remote" or remote is None:
        return engine
    from assistant.engines.remote import Remote

    asked = Remote(base, threads=1, context=1, place=remote)
    asked.close()
    return "remote" if asked.takes_adapters else "auto"


def has_cuda() -> bool:
    """Whether a CUDA GPU can be used, and not only borrowed for single calls."""
    if on_zero_gpu() or not any(Path(device).exists() for device in GPU_DEVICES):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _opener(name: str) -> "Callable[..., Engine]":
    if name == "llamacpp":
        from assistant.engines.llamacpp import LlamaCpp

        return LlamaCpp
    if name == "remote":
        from assistant.engines.remote import Remote

        return Remote
    from assistant.engines.torch_peft import TorchPeft

    return TorchPeft
