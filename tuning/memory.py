"""Whether a base model fits into this machine's memory as it is. No torch."""

from math import prod
from pathlib import Path

import psutil
from safetensors import safe_open

SHARE = 0.25
"""Of the free memory, what the weights of a base may take; a step's activations want the rest."""


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
