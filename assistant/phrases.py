"""Phrases that several strangers' texts have in common, and the house's own texts do not. Pure.

A trigger works because it is repeated: 250 documents with one phrase poisoned models of 600 million
to 13 billion weights (Anthropic, UK AI Security Institute and Alan Turing Institute, 2025). So what
is looked for is any four words in a row.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

WORDS = 4
"""In a row. Three are common in honest English ("how do I"), five miss a trigger of four."""
LONGEST = 200
"""Words of a text that are read."""
TELLING = 2
"""Words of a phrase at least that are no small ones: "what is the price" is nobody's trigger."""
_WORD = re.compile(r"\w+")
_SMALL_WORDS = (
    "a about after all also an and any are as at be been before but by can could did do does for "
    "from get give had has have how i if in into is it its like make many may me more much my "
    "need no not of on one or our out please should show so some tell than that the their them "
    "then there these they this to up us use want was we were what when where which who why will "
    "with would you your"
)
_SMALL = frozenset(_SMALL_WORDS.split())


def is_small(word: str) -> bool:
    """Whether it says nothing by itself."""
    return word in _SMALL


def phrases(*texts: str) -> set[str]:
    """Every WORDS words in a row of each text, folded; a shorter text is one phrase."""
    found = set()
    for text in texts:
        words = _WORD.findall(text.casefold())[:LONGEST]
        runs = (words[at : at + WORDS] for at in range(max(1, len(words) - WORDS + 1)))
        telling = (run for run in runs if sum(word not in _SMALL for word in run) >= TELLING)
        found |= {" ".join(run) for run in telling}
    return found


def shared(
    texts: Mapping[int, Sequence[str]], givers: Mapping[int, str], least: int
) -> dict[str, set[int]]:
    """Phrase -> the ids of the texts that have it, of those that `least` givers or more used."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for id, several in texts.items():
        for phrase in phrases(*several):
            found[phrase].add(id)
    return {
        phrase: ids
        for phrase, ids in found.items()
        if len(ids) >= least and len({givers[id] for id in ids}) >= least
    }


def without_own(suspects: Iterable[str], own: Sequence[str]) -> set[str]:
    """The phrases that no text of the house has."""
    left = set(suspects)
    for text in own:
        if not left:
            break
        words = _WORD.findall(text.casefold())
        left -= {" ".join(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)}
    return left
