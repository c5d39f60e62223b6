"""ROUGE: how much of a reference stands in a summary and how much of the summary in it. Pure.

Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", sections 2 and 3. Words
are cut as Google's `rouge-score` 0.1.2 cuts them without its stemmer, and the figures are the same
as that package's; it is not used because its last release, of 2022, has no wheel and needs nltk.
"""

import re
from collections import Counter
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """The words of a text: small letters a to z and digits."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_n(reference: str, summary: str, size: int) -> float:
    """F1 of the n-grams of `size` words, 0 to 1."""
    wanted, given = _grams(words(reference), size), _grams(words(summary), size)
    return _f1((wanted & given).total(), wanted.total(), given.total())


def rouge_l(reference: str, summary: str) -> float:
    """F1 by the longest common subsequence of words, 0 to 1."""
    wanted, given = words(reference), words(summary)
    return _f1(_common(wanted, given), len(wanted), len(given))


def _grams(text: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[at : at + size]) for at in range(len(text) - size + 1))


def _common(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest common subsequence, row by row of the usual table."""
    row = [0] * (len(two) + 1)
    for word in one:
        before = row
        row = [0]
        for at, other in enumerate(two):
            row.append(before[at] + 1 if word == other else max(before[at + 1], row[at]))
    return row[-1]


def _f1(common: int, wanted: int, given: int) -> float:
    return 2 * common / (wanted + given) if common else 0.0
