"""Whether a base model fits into this machine's memory, and whether memory ran out. No torch."""

from math import prod
from pathlib import Path

import psutil
from safetensors import safe_open

SHARE = 0.25
"""Of the free memory, what the weights of a base may take; a step's activations want the rest."""
_RAN_OUT = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")
"""What torch says in a RuntimeError when an allocation fails."""


def unpacked_bytes(folder: Path) -> int:
    """Bytes of the base's weights in fp32, the form a CPU trains on."""
    return 4 * sum(_parameters(path) for path in folder.glob("*.safetensors"))


def fits(folder: Path, free: int | None = None) -> bool:
    """Whether the base fits unpacked; `free` is in bytes and None asks the system."""
    free = psutil.virtual_memory().available if free is None else free
    return unpacked_bytes(folder) < SHARE * free


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
