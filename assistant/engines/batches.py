"""The rows in flight, kept apart where one pass of the model cannot answer them together.

LoRA, rsLoRA and the base share a batch; DoRA, IA3 and bottlenecks answer in batches of one adapter
each. The batches take turns, a token for each row of each, so nobody waits for another's reply.
"""

from collections.abc import Callable
from typing import Any

import torch

from assistant.engines.prefixes import Prefixes
from assistant.engines.rows import Forward, Row, Rows


class Batches:
    """Several `Rows`, by the word that `batch_of` has for a row's adapter. Used by one thread."""

    def __init__(
        self, forward: Forward, device: torch.device, batch_of: Callable[[str], str]
    ) -> None:
        self._forward, self._device, self._batch_of = forward, device, batch_of
        self._batches: dict[str, Rows] = {}
        self._prefixes = Prefixes()

    @property
    def rows(self) -> list[Row]:
        """All rows in flight."""
        return [row for batch in self._batches.values() for row in batch.rows]

    def admit(self, row: Row) -> None:
        """Read the row's prompt, make its first token, and put it into its batch."""
        word = self._batch_of(row.adapter)
        batch = self._batches.get(word) or Rows(self._pass, self._device, self._prefixes)
        batch.admit(row)
        self._batches[word] = batch

    def step(self) -> None:
        """One token for every row of every batch."""
        for batch in self._batches.values():
            batch.step()
        self.drop_finished()

    def drop_finished(self) -> None:
        """Let go of rows that ended, and of batches without any."""
        for batch in self._batches.values():
            batch.drop_finished()
        self._batches = {word: batch for word, batch in self._batches.items() if batch.rows}

    def forget(self, adapter: str) -> None:
        """Drop what is remembered of prompts that this adapter has read."""
        self._prefixes.forget(adapter)

    def clear(self) -> None:
        """Forget all rows."""
        self._batches = {}

    def _pass(self, **inputs: Any) -> Any:
        return self._forward(**inputs)
