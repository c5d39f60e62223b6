"""What torch has read already: a prompt that begins as an earlier one did is read from there on.

A conversation's next prompt begins with the last one and its reply; a workspace's first prompts
share their instructions. Kept by adapter, for the same words read by another are other numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from transformers import DynamicCache

ROOM = 512 * 2**20
"""Bytes of keys and values that are kept; past it what was unused for longest goes."""
WORTH_IT = 16
"""Tokens in common from which on a beginning is taken over."""

Layers = Sequence[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (1, heads, positions, size)."""


@dataclass(frozen=True, eq=False)
class _Read:
    adapter: str
    ids: tuple[int, ...]
    layers: Layers

    @property
    def size(self) -> int:
        return sum(one.numel() * one.element_size() for pair in self.layers for one in pair)


class Prefixes:
    """Used by one thread only."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._read: list[_Read] = []  # the one unused for longest first

    def begin(self, adapter: str, ids: Sequence[int]) -> tuple[int, DynamicCache]:
        """How many of the first tokens need not be read, and the cache that has them.

        The last token is always read: its logits choose the next one.
        """
        cache = DynamicCache()
        known = [
            (_common(one.ids, ids), place)
            for place, one in enumerate(self._read)
            if one.adapter == adapter
        ]
        common, place = max(known, default=(0, 0))
        common = min(common, len(ids) - 1)
        if common < WORTH_IT:
            return 0, cache
        found = self._read.pop(place)
        self._read.append(found)
        for number, (keys, values) in enumerate(found.layers):
            cache.update(keys[:, :, :common], values[:, :, :common], number)
        return common, cache

    def keep(self, adapter: str, ids: Sequence[int], layers: Layers) -> None:
        """Remember what these tokens were read to, in place of what is the beginning of it."""
        new = _Read(adapter, tuple(ids), layers)
        others = (
            one
            for one in self._read
            if one.adapter != adapter or one.ids != new.ids[: len(one.ids)]
        )
        self._read = [*others, new]
        taken = sum(one.size for one in self._read)
        while taken > self._room:
            taken -= self._read.pop(0).size

    def forget(self, adapter: str) -> None:
        """Drop what this adapter has read."""
        self._read = [one for one in self._read if one.adapter != adapter]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many of the first tokens are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
