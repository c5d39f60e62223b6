"""The replies that torch makes together: one key-value cache, one row of it per reply.

Each step makes one token for every row. A new reply's prompt is read alone, from where an earlier
one differs, and its cache joined to the others' by padding on the left, so nobody waits for
somebody else's reply to end.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from assistant.engines.grammar import Grammar
from assistant.engines.prefixes import Layers, Prefixes
from assistant.engines.protocol import (
    REPEAT_LAST,
    RUNNERS_UP,
    Chosen,
    EngineFailed,
    EngineFinish,
    Piece,
    Sampling,
)
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
    grammar: Grammar | None = None
    """What the reply is held to."""
    out: "SimpleQueue[Piece | Exception]" = field(default_factory=SimpleQueue)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody reads the pieces any more."""
    made: list[int] = field(default_factory=list)
    finished: bool = False
    _random: torch.Generator | None = None

    @property
    def plain(self) -> bool:
        """Whether its next token is always the likeliest one."""
        how = self.sampling
        return how.temperature <= 0 and how.repeat_penalty == 1 and self.grammar is None

    @property
    def unwanted(self) -> bool:
        """Cancelled, or its reader has gone."""
        return self.cancel.is_set() or self.left.is_set()

    def choose(self, logits: Tensor) -> int:
        """The next token by this row's sampling, from its logits (words,).

        Raises EngineFailed where the grammar cannot go on.
        """
        if not self.plain:
            logits = self._weighted(logits.float().cpu())
        if self.sampling.temperature <= 0:
            return int(logits.argmax())
        if self._random is None:
            self._random = torch.Generator()
            if self.sampling.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(self.sampling.seed)
        chances = torch.softmax(logits / self.sampling.temperature, dim=-1)
        ranked, words = chances.sort(descending=True)
        # The first word past the mass is kept: at least one always is.
        ranked[ranked.cumsum(0) - ranked >= self.sampling.top_p] = 0
        return int(words[torch.multinomial(ranked, 1, generator=self._random)])

    def _weighted(self, logits: Tensor) -> Tensor:
        """The logits without what the grammar forbids, and with less for what was just said."""
        if self.grammar is not None:
            allowed = torch.frombuffer(bytearray(self.grammar.allowed()), dtype=torch.uint8)
            forbidden = torch.ones_like(logits, dtype=torch.bool)  # logits may be padded
            forbidden[: len(allowed)] = allowed[: len(logits)] == 0
            logits = logits.masked_fill(forbidden, -torch.inf)
        if self.sampling.repeat_penalty != 1:
            last = torch.tensor([*self.prompt_ids, *self.made][-REPEAT_LAST:]).unique()
            before, by = logits[last], self.sampling.repeat_penalty
            logits = logits.index_copy(0, last, torch.where(before > 0, before / by, before * by))
        return logits

    def add(self, token: int, logits: Tensor) -> None:
        """Tell the reader about one more token, chosen from its logits (words,)."""
        self.made.append(token)
        if self.grammar is not None:
            self.grammar.take(token)
        chosen = (_chosen(token, logits),) if self.sampling.runners_up else ()
        shown = self.text.push([token])
        if self.text.ended:
            self._end(shown, 1, "stop", chosen)
        elif len(self.made) >= self.room:
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

    def __init__(self, forward: Forward, device: torch.device, prefixes: Prefixes) -> None:
        self._forward, self._device, self._prefixes = forward, device, prefixes
        self.rows: list[Row] = []
        self._last: list[int] = []
        self._mask = torch.zeros((0, 0), dtype=torch.long, device=device)
        self._cache: DynamicCache | None = None

    def admit(self, row: Row) -> None:
        """Read the row's prompt, make its first token, and let it decode with the others."""
        prompt = list(row.prompt_ids)
        read, cache = self._prefixes.begin(row.adapter, prompt)
        mask = torch.ones((1, len(prompt)), dtype=torch.long, device=self._device)
        output = self._forward(
            input_ids=torch.tensor([prompt[read:]], device=self._device),
            attention_mask=mask,
            position_ids=torch.arange(read, len(prompt), device=self._device)[None],
            past_key_values=cache,
            adapters=[row.adapter],
        )
        self._prefixes.keep(row.adapter, prompt, _layers(cache))
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
            try:
                token = likeliest[index] if row.plain else row.choose(logits[index])
            except EngineFailed as error:  # of its grammar: the others go on
                row.fail(error)
                continue
            self._last[index] = token
            row.add(token, logits[index])
        self.drop_finished()

    def drop_finished(self) -> None:
        """Let go of the cache of rows that ended, and of padding that no row needs any more."""
        keep = [index for index, row in enumerate(self.rows) if not row.finished]
        if len(keep) == len(self.rows):
            return
        for index, row in enumerate(self.rows):
            if row.finished:
                self._remember(index, row)
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

    def _remember(self, index: int, row: Row) -> None:
        """Keep what was read of a row that ended: its last token was not."""
        if self._cache is None:
            return
        ids = [*row.prompt_ids, *row.made[:-1]]
        own = [
            (keys[index : index + 1, :, -len(ids) :], values[index : index + 1, :, -len(ids) :])
            for keys, values in _layers(self._cache)
        ]
        copies = [(keys.clone(), values.clone()) for keys, values in own]  # not the whole batch
        self._prefixes.keep(row.adapter, ids, copies)

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


def _layers(cache: DynamicCache) -> Layers:
    return [(layer.keys, layer.values) for layer in cache.layers]


def _chosen(token: int, logits: Tensor) -> Chosen:
    log_probs = torch.log_softmax(logits.float(), dim=-1)
    values, words = log_probs.topk(1 + RUNNERS_UP)
    likely = zip(words.tolist(), values.tolist(), strict=True)
    others = [one for one in likely if one[0] != token]
    return Chosen(token, float(log_probs[token]), tuple(others[:RUNNERS_UP]))


def _padded(values: Tensor, width: int) -> Tensor:
    """`values` with zeros before, so that positions number `width`.

    A mask is (rows, positions), keys and values are (rows, heads, positions, size).
    """
    if values.dim() == 2:
        return torch.nn.functional.pad(values, (width - values.shape[1], 0))
    return torch.nn.functional.pad(values, (0, 0, width - values.shape[2], 0))
