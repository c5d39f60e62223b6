"""Which engine serves a base model on this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.engines.protocol import Engine
from storage.errors import BadInput
from storage.models import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuning.adapter_kinds import Kind

ENGINES = ("llamacpp", "torch_peft")
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
"""What a driver for NVIDIA's GPUs shows (Linux, WSL). Importing torch to ask takes 2 to 4 s."""


def open_engine(
    base: BaseModel,
    *,
    engine: str = "auto",
    threads: int,
    context: int = 2048,
    at_once: int | None = None,
) -> Engine:
    """Start the engine for `base`.

    `auto` takes torch_peft on a CUDA GPU, else llamacpp when the base has a GGUF, else torch_peft.
    `threads` answer on the CPU; `context` is in tokens, prompt and reply together. `at_once` limits
    the places llamacpp has for replies: with one, what a place remembers of earlier prompts is the
    same in every run, and so are the last bits of its sums. Raises BadInput for an unknown engine
    or one that cannot serve this base, EngineFailed when it does not start.
    """
    chosen = best_engine(base) if engine == "auto" else engine
    if chosen not in ENGINES:
        raise BadInput(f"The engine {engine!r} is not known: use auto, {' or '.join(ENGINES)}.")
    places = {"slots": at_once} if at_once and chosen == "llamacpp" else {}
    return _opener(chosen)(base, threads=threads, context=context, **places)


def best_engine(base: BaseModel) -> str:
    """The engine that `auto` means for `base` on this machine."""
    if base.gguf is None or has_cuda():
        return "torch_peft"
    return "llamacpp"


def serving_engine(base: BaseModel, engine: str, kind: "Kind") -> str:
    """The engine that answers by adapters of `kind` where the setting is `engine`."""
    if engine != "auto":
        return engine
    running = best_engine(base)
    return engine_beside(base, running, kind) or running


def engine_beside(base: BaseModel, running: str, kind: "Kind") -> str | None:
    """The engine that must serve adapters of `kind` beside the one `running`; None if it can.

    llamacpp has a form for LoRA and rsLoRA only, and only on bases of llama's architecture.
    """
    if running != "llamacpp":
        return None
    plain = kind in ("lora", "rslora") and _is_llama(base.folder)
    return None if plain else "torch_peft"


def _is_llama(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder}/config.json cannot be read ({error}): fetch the base again."
        ) from error
    return bool(config.get("model_type") == "llama")


def has_cuda() -> bool:
    """Whether a CUDA GPU can be used."""
    if not any(Path(device).exists() for device in GPU_DEVICES):
        return False
    import torch

    return bool(torch.cuda.is_available())


def _opener(name: str) -> "Callable[..., Engine]":
    if name == "llamacpp":
        from assistant.engines.llamacpp import LlamaCpp

        return LlamaCpp
    from assistant.engines.torch_peft import TorchPeft

    return TorchPeft
