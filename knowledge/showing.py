"""Which of the passages found are shown: different ones, within a budget, with what is around them.

Small chunks are found best, but read best in their section. So what is left of the budget is filled
with their neighbours, each a passage of its own: it can be cited, and is stale when it changes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlite_utils import Database

from knowledge.lexical import stems
from storage.documents import neighbour
from storage.records import Passage

ALIKE = 0.9
"""Of a passage's words, the share that makes it a repetition of one that has them too."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD_END = re.compile(r"\s+")


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """Without those that say what a better one says: the same page under two names, a footer."""
    kept: list[tuple[Passage, set[str]]] = []
    for passage in passages:
        own = stems(passage.text)
        if not any(len(own & known) >= ALIKE * len(own) for _, known in kept):
            kept.append((passage, own))
    return [passage for passage, _ in kept]


def with_neighbours(
    db: Database, passages: Sequence[Passage], budget: int, count_tokens: Callable[[str], int]
) -> list[Passage]:
    """The passages, each among those next to it in its section that still fit, in reading order.

    All grow by one on each side in turn, until nothing more fits or their sections end.
    """
    left = budget - sum(count_tokens(passage.text) for passage in passages)
    taken = {passage.chunk_id for passage in passages}
    groups = [[passage] for passage in passages]
    growing = [(group, step) for group in groups for step in (1, -1)]
    while growing:
        still = []
        for group, step in growing:
            edge = group[-1] if step > 0 else group[0]
            found = neighbour(db, edge.chunk_id, step)
            cost = count_tokens(found.text) if found else 0
            if found is None or found.chunk_id in taken or cost > left:
                continue
            group.insert(len(group) if step > 0 else 0, found)
            taken.add(found.chunk_id)
            left -= cost
            still.append((group, step))
        growing = still
    return [passage for group in groups for passage in group]


def fit_passages(
    passages: Sequence[Passage], budget: int, count_tokens: Callable[[str], int]
) -> list[Passage]:
    """The first passages that fit into `budget` tokens, whole. Pure.

    If the very first is too long, it alone is given, cut after the last sentence that fits (or
    word, when not even one sentence does).
    """
    fitting: list[Passage] = []
    left = budget
    for passage in passages:
        left -= count_tokens(passage.text)
        if left < 0:
            break
        fitting.append(passage)
    if fitting or not passages:
        return fitting
    text = _cut(passages[0].text, budget, count_tokens)
    return [replace(passages[0], text=text)] if text else []


def _cut(text: str, budget: int, count_tokens: Callable[[str], int]) -> str:
    """The longest beginning within `budget` that ends a sentence, or else a word.

    A sentence's end in the first half of the budget does not count: that may be the heading alone.
    """
    for boundary, least in ((_SENTENCE_END, budget // 2), (_WORD_END, 0)):
        for end in reversed([match.start() for match in boundary.finditer(text)]):
            if least <= count_tokens(text[:end]) <= budget:
                return text[:end].rstrip()
    return ""
