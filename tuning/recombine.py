"""Taught queries recombined: other columns, tables and values of the same database.

A correction teaches one query. What of its question stands for what of its query can be learned
from all corrections together, and with that the parts can be exchanged: "first name" for "salary"
together with `vorname` for `gehalt`, 'Marketing' for another department. So the model is shown that
a query follows the words of its question, instead of learning each question by heart.

Source: Jia and Liang 2016, "Data Recombination for Neural Semantic Parsing", arXiv:1606.03622. Which
words stand for which name is found by competitive linking (Melamed 2000, "Models of Translational
Equivalence among Words") over the Dice coefficient. Nothing here knows a language.
"""

import random
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LONGEST_PHRASE = 3
"""Words that stand for one name, at most."""
LEAST_DICE = 0.5
"""Under it words and a name meet by chance."""
VALUES = 40
"""Values of a column that are looked at."""
TRIES = 60
"""Draws for one recombination of a pair before it is taken to have no more."""
_WORD = re.compile(r"\w+", re.UNICODE)
_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"|(?<![\w.])(\d+(?:\.\d+)?)(?![\w.])")


@dataclass(frozen=True)
class Schema:
    """What a database holds: columns of each table, and some values of each column."""

    columns: Mapping[str, tuple[str, ...]]
    values: Mapping[tuple[str, str], tuple[str | int | float, ...]]

    @property
    def names(self) -> frozenset[str]:
        """Every table and column."""
        return frozenset(self.columns) | {one for each in self.columns.values() for one in each}


@dataclass(frozen=True)
class Taught:
    """A taught question with its query."""

    question: str
    query: str


def read_schema(path: Path) -> Schema:
    """The schema of an SQLite file, opened to be read only."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        tables = connection.execute(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        ).fetchall()
        columns = {
            table: tuple(row[1] for row in connection.execute(f"pragma table_info({_quoted(table)})"))
            for (table,) in tables
        }
        values = {
            (table, column): tuple(
                row[0]
                for row in connection.execute(
                    f"select distinct {_quoted(column)} from {_quoted(table)} "
                    f"where {_quoted(column)} is not null limit {VALUES}"
                )
                if isinstance(row[0], str | int | float)
            )
            for table, names in columns.items()
            for column in names
        }
    finally:
        connection.close()
    return Schema(columns, values)


def lexicon(pairs: Sequence[Taught], names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Name -> the words that stand for it in questions, most certain first.

    The surest link is taken first and explains its words and its name away in the pairs where both
    are; so "name" is not taken for `vorname` where "first name" is known to be.
    """
    questions = [_phrases(pair.question) for pair in pairs]
    queries = [frozenset(_WORD.findall(pair.query)) & frozenset(names) for pair in pairs]
    found: dict[str, list[str]] = defaultdict(list)
    left = [set(phrases) for phrases in questions]
    open_names = [set(query) for query in queries]
    while (best := _surest(left, open_names)) is not None:
        phrase, name = best
        found[name].append(phrase)
        for phrases, wanted in zip(left, open_names, strict=True):
            if phrase in phrases and name in wanted:
                wanted.discard(name)
                phrases.difference_update(_overlapping(phrase, phrases))
            else:
                phrases.discard(phrase)
    return {name: tuple(phrases) for name, phrases in found.items()}


def _surest(left: Sequence[set[str]], names: Sequence[set[str]]) -> tuple[str, str] | None:
    phrase_count: Counter[str] = Counter()
    name_count: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    for phrases, wanted in zip(left, names, strict=True):
        phrase_count.update(phrases)
        name_count.update(wanted)
        both.update((phrase, name) for phrase in phrases for name in wanted)
    scored = [
        (_strength(phrase, name, count, phrase_count[phrase], name_count[name]), phrase, name)
        for (phrase, name), count in both.items()
    ]
    scored = [one for one in scored if one[0][0] >= LEAST_DICE]
    return max(scored, key=lambda one: (*one[0], one[1], one[2]))[1:] if scored else None


def _strength(
    phrase: str, name: str, both: int, phrases: int, names: int
) -> tuple[float, int, int]:
    """(Dice coefficient, pairs, words of the phrase); the same word in both is certain."""
    same = _alike(phrase, name)
    dice = 1.0 + same if same else 2 * both / (phrases + names) if both > 1 else 0.0
    return dice, both, len(phrase.split())


def _alike(phrase: str, name: str) -> float:
    """1 where the phrase is the name itself, give or take an ending of two letters."""
    bare = " ".join(name.casefold().split("_"))
    shorter, longer = sorted((phrase, bare), key=len)
    return float(len(shorter) > 2 and longer.startswith(shorter) and len(longer) - len(shorter) < 3)


def _phrases(question: str) -> set[str]:
    words = [word.casefold() for word in _WORD.findall(question)]
    return {
        " ".join(words[start : start + size])
        for size in range(1, LONGEST_PHRASE + 1)
        for start in range(len(words) - size + 1)
    }


def _overlapping(phrase: str, phrases: Collection[str]) -> set[str]:
    words = set(phrase.split())
    return {one for one in phrases if words & set(one.split())}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
