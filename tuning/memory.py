"""Whether a base model fits into this machine's memory, and whether memory ran out. No torch."""

import json
from math import prod
from pathlib import Path

import psutil
from safetensors import safe_open

from tuning.config import RoundConfig

LIBRARIES = 1_000_000_000
"""Bytes of torch and what else a process with a model has loaded."""
ACTIVATIONS = 1_800_000 / (30 * 576)
"""Bytes a token of a step for each value that is handed on, layers times width: rounds of the
sample company took 1.8 MB a token with 30 layers of 576."""
SHARE = 0.25
"""Of the free memory, what the weights of a base may take; a step's activations want the rest."""
_RAN_OUT = (
    *("out of memory", "not enough memory", "can't allocate memory", "bad_alloc"),
    *("cannot allocate memory", "can't start new thread"),  # there was no room for its stack
)
"""What torch, safetensors and Python say in other errors when an allocation fails."""


def unpacked_bytes(folder: Path) -> int:
    """Bytes of the base's weights in fp32, the form a CPU trains on."""
    return 4 * sum(_parameters(path) for path in folder.glob("*.safetensors"))


def fits(folder: Path, free: int | None = None) -> bool:
    """Whether the base fits unpacked; `free` is in bytes and None asks the system."""
    free = psutil.virtual_memory().available if free is None else free
    return unpacked_bytes(folder) < SHARE * free


def values_a_token(folder: Path) -> int:
    """Layers times width of the base in `folder`, by its config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config") or config
    return int(config["num_hidden_layers"] * config["hidden_size"])


def training_bytes(unpacked: int, values: int, config: RoundConfig) -> int:
    """Bytes that a round takes on a CPU: libraries, weights and the activations of a step.

    `unpacked` are the bytes of the weights in fp32, `values` is layers times width. A packed base
    takes a third of that with its scales in nf4, two fifths in int8. Rounds of the sample company
    took 2.5 to 3.3 GB; the other sizes are counted from that.
    """
    held = unpacked
    if config.method == "qlora":
        held = unpacked // 3 if config.quantization == "nf4" else unpacked * 2 // 5
    return LIBRARIES + held + activation_bytes(values, config)


def activation_bytes(values: int, config: RoundConfig) -> int:
    """Bytes of the activations of a step on a CPU; `values` is layers times width."""
    return int(config.step_tokens * values * ACTIVATIONS)


def _parameters(path: Path) -> int:
    with safe_open(path, framework="np") as weights:
        names = weights.keys()
        return sum(prod(weights.get_slice(name).get_shape()) for name in names)


def ran_out(error: BaseException) -> bool:
    """Whether the error means that memory ran out: Python's, torch's on a CPU or on a GPU."""
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(words in said for words in _RAN_OUT))
    )


def kernel_kills() -> int:
    """How often the kernel has ended a process because memory ran out; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
