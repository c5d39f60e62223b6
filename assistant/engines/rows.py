"""The replies that torch makes together: one key-value cache, one row of it per reply.

Each step makes one token for every row. A new reply's prompt is read alone and its cache joined to
the others' by padding on the left, so nobody waits for somebody else's reply to end.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from assistant.engines.protocol import RUNNERS_UP, Chosen, EngineFinish, Piece, Sampling
from assistant.engines.reply_text import ReplyText

Forward = Callable[..., Any]
"""(input_ids, attention_mask, position_ids, past_key_values, adapters) -> output with logits."""


@dataclass(eq=False)
class Row:
    """One reply in the making. `out` carries its pieces, or the error that ended it."""

    prompt_ids: Sequence[int]
    adapter: str
    sampling: Sampling
    room: int
    """Tokens that the reply may have."""
    text: ReplyText
    cancel: threading.Event
    out: "SimpleQueue[Piece | Exception]" = field(default_factory=SimpleQueue)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody reads the pieces any more."""
    said: int = 0
    finished: bool = False
    _random: torch.Generator | None = None

    @property
    def unwanted(self) -> bool:
        """Cancelled, or its reader has gone."""
        return self.cancel.is_set() or self.left.is_set()

    def choose(self, logits: Tensor) -> int:
        """The next token by this row's sampling, from its logits (words,)."""
        if self.sampling.temperature <= 0:
            return int(logits.argmax())
        if self._random is None:
            self._random = torch.Generator()
            if self.sampling.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(self.sampling.seed)
        chances = torch.softmax(logits.float().cpu() / self.sampling.temperature, dim=-1)
        ranked, words = chances.sort(descending=True)
        # The first word past the mass is kept: at least one always is.
        ranked[ranked.cumsum(0) - ranked >= self.sampling.top_p] = 0
        return int(words[torch.multinomial(ranked, 1, generator=self._random)])

    def add(self, token: int, logits: Tensor) -> None:
        """Tell the reader about one more token, the likeliest or another of its logits (words,)."""
        self.said += 1
        chosen = (_chosen(logits),) if self.sampling.runners_up else ()
        shown = self.text.push([token])
        if self.text.ended:
            self._end(shown, 1, "stop", chosen)
        elif self.said >= self.room:
            self._end(shown + self.text.flush(), 1, "length", chosen)
        else:
            self.out.put(Piece(shown, 1, None, chosen))

    def interrupt(self) -> None:
        """End the reply where it is."""
        self._end(self.text.flush(), 0, "interrupted")

    def fail(self, error: Exception) -> None:
        """End the reply with an error, raised where it is read."""
        self.finished = True
        self.out.put(error)

    def _end(
        self, shown: str, tokens: int, reason: EngineFinish, chosen: tuple[Chosen, ...] = ()
    ) -> None:
        self.finished = True
        self.out.put(Piece(shown, tokens, reason, chosen))


class Rows:
    """The rows in flight and their cache. Used by one thread only."""

    def __init__(self, forward: Forward, device: torch.device) -> None:
        self._forward, self._device = forward, device
        self.rows: list[Row] = []
        self._last: list[int] = []
        self._mask = torch.zeros((0, 0), dtype=torch.long, device=device)
        self._cache: DynamicCache | None = None

    def admit(self, row: Row) -> None:
        """Read the row's prompt, make its first token, and let it decode with the others."""
        ids = torch.tensor([list(row.prompt_ids)], device=self._device)
        mask, cache = torch.ones_like(ids), DynamicCache()
        output = self._forward(
            input_ids=ids,
            attention_mask=mask,
            position_ids=torch.arange(ids.shape[1], device=self._device)[None],
            past_key_values=cache,
            adapters=[row.adapter],
        )
        token = row.choose(output.logits[0, -1])
        row.add(token, output.logits[0, -1])
        if not row.finished:
            self._join(row, token, mask, cache)

    def step(self) -> None:
        """One token for every row; rows that end leave."""
        positions = self._mask.sum(dim=1, keepdim=True)
        self._mask = torch.cat([self._mask, torch.ones_like(positions)], dim=1)
        output = self._forward(
            input_ids=torch.tensor(self._last, device=self._device)[:, None],
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            adapters=[row.adapter for row in self.rows],
        )
        logits = output.logits[:, -1]
        likeliest = logits.argmax(dim=-1).tolist()  # one wait for the device, not one per row
        for index, row in enumerate(self.rows):
            sampled = row.sampling.temperature > 0
            self._last[index] = row.choose(logits[index]) if sampled else likeliest[index]
            row.add(self._last[index], logits[index])
        self.drop_finished()

    def drop_finished(self) -> None:
        """Let go of the cache of rows that ended, and of padding that no row needs any more."""
        keep = [index for index, row in enumerate(self.rows) if not row.finished]
        if len(keep) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in keep]
        self._last = [self._last[index] for index in keep]
        if not keep or self._cache is None:
            self.clear()
            return
        kept = torch.tensor(keep, device=self._device)
        self._mask = self._mask[kept]
        start = int(self._mask.any(dim=0).int().argmax())
        self._mask = self._mask[:, start:]
        for layer in self._cache.layers:
            layer.keys = layer.keys[kept][:, :, start:]
            layer.values = layer.values[kept][:, :, start:]

    def clear(self) -> None:
        """Forget all rows."""
        self.rows, self._last, self._cache = [], [], None
        self._mask = self._mask[:0, :0]

    def _join(self, row: Row, token: int, mask: Tensor, cache: DynamicCache) -> None:
        self.rows.append(row)
        self._last.append(token)
        if self._cache is None:
            self._mask, self._cache = mask, cache
            return
        width = max(self._mask.shape[1], mask.shape[1])
        self._mask = torch.cat([_padded(self._mask, width), _padded(mask, width)])
        for mine, new in zip(self._cache.layers, cache.layers, strict=True):
            mine.keys = torch.cat([_padded(mine.keys, width), _padded(new.keys, width)])
            mine.values = torch.cat([_padded(mine.values, width), _padded(new.values, width)])


def _chosen(logits: Tensor) -> Chosen:
    values, words = torch.log_softmax(logits.float(), dim=-1).topk(1 + RUNNERS_UP)
    (first, log_prob), *others = zip(words.tolist(), values.tolist(), strict=True)
    return Chosen(first, log_prob, tuple(others))


def _padded(values: Tensor, width: int) -> Tensor:
    """`values` with zeros before, so that positions number `width`.

    A mask is (rows, positions), keys and values are (rows, heads, positions, size).
    """
    if values.dim() == 2:
        return torch.nn.functional.pad(values, (width - values.shape[1], 0))
    return torch.nn.functional.pad(values, (0, 0, width - values.shape[2], 0))
