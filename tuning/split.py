"""Which pairs train and which judge. Pure, and stable while the data grows.

Two slices never train. *New wordings*: in a need with at least three wordings, one. *New needs*:
whole needs, at most a tenth of them and none below fifty. A need with one or two wordings is
never held out: that would un-teach it; paraphrases of its questions may judge it instead.

Pairs with the same question, after whatever history and in whatever group, are one wording: they
train together or judge together. The choice looks only at a need's three oldest wordings, and at
their words instead of the group's name, so that neither the fourth and later ones, nor a
correction that is corrected again, nor groups that are merged or renamed, move it: an adapter that
serves was not trained on what judges its successor.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from storage.records import Split

WORDINGS_NEEDED = 3
"""Wordings of a need before one of them is held out."""
NEEDS_NEEDED = 50
"""Needs before any whole need is held out."""
NEW_NEEDS_SHARE = 0.1
"""Whole needs held out, at most, as a share of all needs."""


class Wording(NamedTuple):
    """One pair, as the split sees it."""

    feedback_id: int
    group: str
    question: str
    """Normalised: equal questions are equal texts."""
    first_id: int
    """The oldest feedback id with this question: a later correction does not make it younger."""


Needs = dict[str, list[str]]
"""The questions of each group, the oldest first, each once."""


def split(wordings: Sequence[Wording], *, salt: str) -> dict[int, Split]:
    """The split of each pair by feedback id; `salt` names the workspace.

    Only "train", "new wordings" and "new needs" are given out. A need of which nothing trains,
    because all its questions judge another one, is a new need too.
    """
    needs: Needs = defaultdict(list)
    for one in sorted(wordings, key=lambda one: (one.first_id, one.feedback_id)):
        if one.question not in needs[one.group]:
            needs[one.group].append(one.question)
    held_out = _held_out(needs, salt)
    taught = {one.group for one in wordings if one.question not in held_out}
    return {
        one.feedback_id: _slice(one, taught, held_out)
        for one in sorted(wordings, key=lambda one: one.feedback_id)
    }


def _slice(one: Wording, taught: set[str], held_out: set[str]) -> Split:
    if one.question not in held_out:
        return "train"
    return "new wordings" if one.group in taught else "new needs"


def _held_out(needs: Needs, salt: str) -> set[str]:
    """The questions that judge."""
    whole = _new_needs(needs, salt)
    held_out = {question for group in whole for question in needs[group]}
    for group, questions in needs.items():
        if group not in whole and len(questions) >= WORDINGS_NEEDED:
            oldest = questions[:WORDINGS_NEEDED]
            held_out.add(min(oldest, key=lambda question: _draw(salt, question)))
    return held_out


def _new_needs(needs: Needs, salt: str) -> list[str]:
    """The needs that are drawn below the share, the oldest first, never more than the share."""
    if len(needs) < NEEDS_NEEDED:
        return []
    drawn = [
        group
        for group, questions in needs.items()
        if len(questions) >= WORDINGS_NEEDED and _draw(salt, "need", questions[0]) < NEW_NEEDS_SHARE
    ]
    return drawn[: int(len(needs) * NEW_NEEDS_SHARE)]


def _draw(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
