"""A taught question in other words, made from what is taught alone.

Few corrections teach a small model the sentence, not the need. Varied wordings make it look at
the whole of a question, and go on when a word is one it was never taught. Nothing here knows a
language, a synonym or a domain: words are left out, moved, taken over from another wording of the
same need, or replaced by any ordinary word.

Sources: leaving out, moving and inserting words are operations of EDA (Wei and Zou 2019, "EDA:
Easy Data Augmentation Techniques", arXiv:1901.11196); its synonyms would need a dictionary.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from os.path import commonprefix

from tuning.json_check import bare
from tuning.query_text import own_words
from tuning.sql_check import looks_like_sql

DROP = 0.2
"""Chance of each word to be left out."""
REPLACE = 0.2
"""Chance of each word to be replaced by an ordinary one, where such words are given."""
CROSS = 0.4
"""Chance of a variant to take a part over from another wording."""
MOVE = 0.25
"""Chance of a variant to begin with its end."""
KEPT = 1 / 2
"""Least share of its question's words in a variant, rare ones counting more."""
NEAR = 1 / 3
"""A question that has so much of another one is near it, and what it lacks tells the two apart."""
TELLING = 2 / 3
"""Least share of that in a variant."""
TRIES = 20
"""Draws for one variant before a question is taken to have no more of them."""


class Needs:
    """The taught questions with their needs: they say what must stay of one in a variant.

    Without it "Count the number of accounts" and "... of customers" both become "Count the of".
    Words count by how few of the questions they stand in.
    """

    def __init__(self, questions: Iterable[tuple[str, str]]) -> None:
        known = [(need, frozenset(bare_words(question))) for question, need in questions]
        self._known = known
        self._times = Counter(word for _, words in known for word in words)

    def tells(self, question: str, need: str) -> Callable[[str], bool]:
        """Whether a text has left what `question` says, and what no near one of others does."""
        own = {word: 1 / max(1, self._times[word]) for word in set(bare_words(question))}
        near = NEAR * sum(own.values())
        telling = [(own, KEPT * sum(own.values()))]
        for other, words in self._known:
            if other != need and sum(own[word] for word in own.keys() & words) >= near:
                apart = {word: own[word] for word in own.keys() - words}
                telling.append((apart, TELLING * sum(apart.values())))
        return lambda text: _has_enough(set(bare_words(text)), telling)


def _has_enough(words: set[str], telling: Iterable[tuple[Mapping[str, float], float]]) -> bool:
    return all(
        sum(weight for word, weight in weights.items() if word in words) >= least
        for weights, least in telling
    )


def variants(
    question: str,
    others: Sequence[str] = (),
    *,
    count: int,
    seed: int | str,
    answer: str = "",
    fillers: Sequence[str] = (),
    avoid: Set[str] = frozenset(),
    tells: Callable[[str], bool] = lambda text: True,
) -> list[str]:
    """Up to `count` different variations of `question`; fewer when it is too short for so many.

    `others`: further taught wordings of the same need with the same answer. Words that stand in
    `answer` (a name, a number) always stay: a variant without them would teach to invent them. The
    words of SQL itself are none of these: "from" and "in" of a question are not from its query.
    `fillers`: any ordinary words. No variant equals the question, one of `others` or of `avoid`
    (the held-out wordings as `same_words` gives them, which nothing is taken from), and of each
    `tells` is true: see `Needs`. The same arguments give the same variants.
    """
    rng = random.Random(f"{seed}|{question}")
    taken = {same_words(text) for text in (question, *others)}
    fixed = told_words(answer)
    found: list[str] = []
    for _ in range(count * TRIES):
        if len(found) == count:
            break
        text = " ".join(_vary(question.split(), others, fillers, fixed, rng))
        key = same_words(text)
        if key not in taken and key not in avoid and tells(text):
            taken.add(key)
            found.append(text)
    return found


def telling_tokens(answer: Sequence[int], others: Iterable[Sequence[int]]) -> int:
    """How many tokens of `answer` it takes to tell it from each of `others`, one at least.

    One more than there are in `answer` when another one begins with the whole of it.
    """
    return 1 + max((len(commonprefix([tuple(answer), tuple(one)])) for one in others), default=0)


def _vary(
    words: list[str],
    others: Sequence[str],
    fillers: Sequence[str],
    fixed: set[str],
    rng: random.Random,
) -> list[str]:
    if len(words) < 2:
        return words
    if others and rng.random() < CROSS:
        words = _cross(words, rng.choice(others).split(), fixed, rng)
    if rng.random() < MOVE:
        cut = rng.randrange(1, len(words))
        words = words[cut:] + words[:cut]
    return _thin_out(words, fillers, fixed, rng)


def _cross(words: list[str], other: list[str], fixed: set[str], rng: random.Random) -> list[str]:
    """The beginning of one wording and the end of the other, cut at the same share of each."""
    share = rng.uniform(0.25, 0.75)
    first, second = (words, other) if rng.random() < 0.5 else (other, words)
    crossed = first[: round(len(first) * share)] + second[round(len(second) * share) :]
    lost = fixed & set(bare_words(" ".join(words))) - set(bare_words(" ".join(crossed)))
    return words if lost or len(crossed) < 2 else crossed


def _thin_out(
    words: list[str], fillers: Sequence[str], fixed: set[str], rng: random.Random
) -> list[str]:
    """The words with some left out and some replaced; at least half of them stay as they are."""
    kept: list[str] = []
    may_go = len(words) // 2
    for word in words:
        chance = rng.random()
        if may_go == 0 or chance >= DROP + REPLACE or fixed & set(bare_words(word)):
            kept.append(word)
            continue
        may_go -= 1
        if chance < REPLACE:
            kept.append(rng.choice(fillers) if fillers else word)
    return kept


def told_words(answer: str) -> set[str]:
    """The words of an answer that its question may tell; of SQL its names and values alone."""
    sql = bare(answer)
    words = own_words(sql) if looks_like_sql(sql) else []
    return set(bare_words(" ".join(words) or answer))


def bare_words(text: str) -> list[str]:
    """The words and numbers of a text, without case and signs."""
    return re.findall(r"\w+", text.casefold())


def same_words(text: str) -> str:
    """The text without case and spacing."""
    return " ".join(text.casefold().split())
