"""Which passage a sentence of an answer rests on, by what both say. Pure.

A passage supports a sentence if it has every number and name of it and most of its other words that
say something, and if its sentence that is most like it does not deny what this one says, or the
other way round. That a passage was shown to the model is no support.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowledge.figures import numbers
from knowledge.lexical import stems, telling_stems

LEAST_SHARED = 0.6
"""Of a sentence's words that say something, the share that its passage must have."""

_END = re.compile(r"(?<=[.!?])[\"'”’)]*(?:\s*\[\d{1,2}\])*(?=\s|$)|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|Dr|Mr|Mrs|Ms|No|St|approx)|^\W*(?:\d{1,2}|[a-zA-Z]))\.$"
)
_LITERAL = re.compile(r"```|\$\$|\\[(\[]")  # code, or a formula as the chat page draws it
_NUMBERED = re.compile(r"\s?\[(\d{1,2})\]")
_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_NAME = re.compile(r"\b[^\W\d_]\w*")
_DENIAL = re.compile(
    r"\b(?:not|no|never|none|neither|nor|without|cannot|nobody|nothing)\b|n['’]t\b", re.IGNORECASE
)
_ONE = {"1"}  # "one" mostly means somebody or something


@dataclass(frozen=True)
class Sentence:
    """A sentence as it stands in the answer, and the number of the passage that it rests on."""

    text: str
    end: int
    """Where it ends in the answer."""
    source: int | None
    """From 1; None: no passage supports it, or it says nothing that could be looked up."""


@dataclass(frozen=True)
class _Known:
    """What a passage says."""

    figures: set[str]
    written: set[str]
    stems: set[str]
    said: list[tuple[set[str], bool]]
    """Of each sentence its stems, and whether it denies."""

    def denies(self, words: set[str]) -> bool:
        """Whether the sentence that has most of the words does."""
        return max(self.said, key=lambda one: len(words & one[0]), default=(set(), False))[1]


@dataclass(frozen=True)
class Cited:
    """An answer with the number of its passage after each sentence that rests on one."""

    text: str
    sentences: tuple[Sentence, ...]

    @property
    def used(self) -> set[int]:
        """The numbers of the passages that a sentence rests on."""
        return {one.source for one in self.sentences if one.source is not None}


def cite(answer: str, passages: Sequence[str]) -> Cited:
    """Find the passage that supports each sentence best, and write its number behind it.

    Numbers that the model wrote go: it also cites what does not say so, and what there is not.
    They stay in code and formulas, and where one may be an index, as in `rows[1]`.
    """
    if not passages:
        return Cited(answer, ())
    known = [_known(text) for text in passages]
    found = tuple(
        Sentence(text, end, _source(_NUMBERED.sub("", text), known)) for text, end in _split(answer)
    )
    literal = _LITERAL.search(answer)
    return Cited(answer if literal else _marked(answer, found, len(passages)), found)


def _marked(answer: str, found: Sequence[Sentence], most: int) -> str:
    parts, start = [], 0
    for one in found:
        bare = _NUMBERED.sub(lambda number: _kept(number, most), answer[start : one.end])
        mark = f" [{one.source}]" if one.source else ""
        parts.append(f"{bare.rstrip()}{mark}")
        start = one.end
    return "".join([*parts, answer[start:]])


def _kept(found: re.Match[str], most: int) -> str:
    may_be_index = found.string[: found.start()][-1:].isalnum() and found.group()[0] == "["
    return found.group() if may_be_index and 1 <= int(found[1]) <= most else ""


def _split(answer: str) -> Iterator[tuple[str, int]]:
    start = 0
    for match in _END.finditer(answer):
        said = answer[start : match.end()]
        if _ABBREVIATION.search(answer[start : match.start()].rstrip()):
            continue
        if said.strip():
            yield said.strip(), match.end() - (len(said) - len(said.rstrip()))
        start = match.end()
    if answer[start:].strip():
        yield answer[start:].strip(), len(answer.rstrip())


def _known(passage: str) -> _Known:
    said = [(stems(one), bool(_DENIAL.search(one))) for one, _ in _split(passage)]
    written = {match.group().casefold() for match in _NAME.finditer(passage)}
    return _Known(numbers(passage), written, stems(passage), said)


def _source(sentence: str, passages: Sequence[_Known]) -> int | None:
    body = _MARK.sub("", sentence)
    wanted, names, denial = numbers(body) - _ONE, _names(body), bool(_DENIAL.search(body))
    words = {word for word in telling_stems(body) if len(word) > 1 or word.isdigit()}
    if not words and not wanted:
        return None
    shares = {
        place: len(words & one.stems) / len(words) if words else 1.0
        for place, one in enumerate(passages, start=1)
        if wanted <= one.figures and names <= one.written and one.denies(words) == denial
    }
    best = max(shares, key=lambda place: shares[place], default=None)
    return best if best and shares[best] >= LEAST_SHARED else None


def _names(sentence: str) -> set[str]:
    """Words with a capital that do not begin the sentence, but for "I"."""
    return {
        match.group().casefold()
        for match in _NAME.finditer(sentence)
        if match.start() and match.group()[0].isupper() and match.group() != "I"
    }
