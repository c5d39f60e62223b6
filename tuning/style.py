"""How like one person's writing a text is. Pure.

Measured by character n-grams, which hold spelling, punctuation, endings and layout alike and know
no language: the share of a text's n-grams that are among the author's most frequent ones. Source:
Frantzeskou et al. 2006, "Effective identification of source code authors using byte-level
information" (simplified profile intersection), after Keselj et al. 2003, "N-gram-based author
profiles for authorship attribution".
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

STYLE_GROUP = "style "
"""How the group of a lesson in style begins; a number follows."""
SIZE = 3
"""Characters of an n-gram."""
MOST = 1500
"""N-grams in a profile: the 1,500 most frequent are nine tenths of what is written."""
TEXTS_NEEDED = 5
"""Texts of an author before anything is said about how like them another one is."""
QUANTILE = 0.25
"""A text is like the author's when it is liker than this share of the author's own texts."""


def style_check(texts: Sequence[str]) -> dict[str, Any]:
    """A check that says whether an answer is like `texts`, which are one author's.

    {"type": "style", "grams": [...], "floor": share}: right is an answer whose likeness reaches
    that of the author's own texts, each measured by the profile of all the others.
    """
    own = sorted(_each_by_others(texts))
    floor = own[int(QUANTILE * len(own))] if len(texts) >= TEXTS_NEEDED else 0.0
    return {"type": "style", "grams": sorted(profile(texts)), "floor": round(floor, 4)}


def profile(texts: Iterable[str]) -> frozenset[str]:
    """The author's most frequent n-grams."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_grams(text))
    return frozenset(gram for gram, _ in counts.most_common(MOST))


def likeness(grams: Collection[str], text: str) -> float:
    """Share of the n-grams of `text` that are in the profile, 0 to 1; 0 for an empty text."""
    written = _grams(text)
    return sum(gram in grams for gram in written) / len(written) if written else 0.0


def _each_by_others(texts: Sequence[str]) -> list[float]:
    """The likeness of each text to the others; the counts are made once and each text taken out."""
    counted = [Counter(_grams(text)) for text in texts]
    total: Counter[str] = Counter()
    for one in counted:
        total.update(one)
    found = []
    for text, own in zip(texts, counted, strict=True):
        others = total.copy()
        others.subtract(own)
        grams = frozenset(gram for gram, count in others.most_common(MOST) if count > 0)
        found.append(likeness(grams, text))
    return found


def _grams(text: str) -> list[str]:
    """The text's n-grams; numbers are alike, and gaps but line breaks are one space."""
    plain = re.sub(r"\d", "0", re.sub(r"[^\S\n]+", " ", text.strip()))
    return [plain[start : start + SIZE] for start in range(len(plain) - SIZE + 1)]
