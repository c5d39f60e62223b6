"""Processes that teach one adapter together: who computes which part of a step, and the sums.

One process is the common case, and then nothing here does anything. With several, each step's parts
are dealt out and the gradients added up, so that a step learns from the same pairs as in one
process. What DistributedDataParallel does instead, the mean over batches of one size, would count a
pair by the part that it lies in, and wants the same number of parts everywhere.
Import late: this file brings torch.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from tuning.batches import Part

T = TypeVar("T")
SILENCE_SECONDS = 600
"""Silence of one process after which the others give up: one may save a checkpoint meanwhile."""


class Together:
    """This process among those that `accelerate launch` started (its environment), or alone."""

    def __init__(self) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self._now = 0.0
        if self.size > 1 and torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))

    @property
    def leads(self) -> bool:
        """Whether this is the one that speaks and writes."""
        return self.rank == 0

    def clock(self) -> float:
        """Seconds. Of several the same in all, as at the last `all`: rates and the end follow."""
        return self._now if self.size > 1 else time.monotonic()

    def threads(self, wanted: int) -> int:
        """This process's own of the `wanted` threads (0: of every core); 0: as torch has it."""
        if self.size == 1:
            return wanted
        return max(1, (wanted or os.cpu_count() or 1) // self.size)

    def mine(self, parts: Sequence[Part]) -> list[int]:
        """The places of the parts that this process computes: the longest to who has least."""
        load = [0] * self.size
        found = []
        for place in sorted(range(len(parts)), key=lambda at: -len(parts[at].ids)):
            to = load.index(min(load))
            load[to] += len(parts[place].ids)
            if to == self.rank:
                found.append(place)
        return sorted(found)

    def all(self, values: list[T]) -> list[T]:
        """What every process has, in the order of the processes; the clock is the first one's."""
        if self.size == 1:
            return values
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, (time.monotonic(), values))
        self._now = found[0][0]
        return [value for _, own in found for value in own]

    def add_up(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Gives each parameter the sum of its gradients over the processes."""
        if self.size == 1:
            return
        trained = [one for one in parameters if one.requires_grad]
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        dist.all_reduce(flat)
        split = flat.split([one.numel() for one in trained])
        for one, grad in zip(trained, split, strict=True):
            one.grad = grad.reshape(one.shape).clone()
