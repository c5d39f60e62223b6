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
from collections.abc import Iterable
from heapq import nsmallest
from itertools import islice
from operator import attrgetter

from storage.records import Split, Wording

WORDINGS_NEEDED = 3
"""Wordings of a need before one of them is held out."""
NEEDS_NEEDED = 50
"""Needs before any whole need is held out."""
NEW_NEEDS_SHARE = 0.1
"""Whole needs held out, at most, as a share of all needs."""
MOST_JUDGES = 1000
"""New wordings held out at most, one a need: so many tell a share within 3 points (95%), and every
opponent answers each. Of more needs those judge that are drawn; the others' wordings all train."""
MOST_NEW_NEEDS = 250
"""Whole needs held out at most, for they can only veto."""


Needs = dict[str, dict[str, None]]
"""The questions of each group, the oldest first, each once."""


def split(wordings: Iterable[Wording], *, salt: str) -> dict[int, Split]:
    """The split of each pair by feedback id, in the order given; `salt` names the workspace.

    Only "train", "new wordings" and "new needs" are given out. A need of which nothing trains,
    because all its questions judge another one, is a new need too.
    """
    given = list(wordings)
    known = sorted(given, key=attrgetter("first_id", "feedback_id"))
    needs: Needs = {}
    for one in known:
        needs.setdefault(one.group, {}).setdefault(one.question)
    held_out = _held_out(needs, salt)
    taught = {one.group for one in known if one.question not in held_out}
    return {one.feedback_id: _slice(one, taught, held_out) for one in given}


def _slice(one: Wording, taught: set[str], held_out: set[str]) -> Split:
    if one.question not in held_out:
        return "train"
    return "new wordings" if one.group in taught else "new needs"


def _held_out(needs: Needs, salt: str) -> set[str]:
    """The questions that judge."""
    whole = _new_needs(needs, salt)
    drawn = [
        min(islice(questions, WORDINGS_NEEDED), key=lambda question: _draw(salt, question))
        for group, questions in needs.items()
        if group not in whole and len(questions) >= WORDINGS_NEEDED
    ]
    if len(drawn) > MOST_JUDGES:
        drawn = nsmallest(MOST_JUDGES, drawn, key=lambda question: _draw(salt, "judge", question))
    return {question for group in whole for question in needs[group]} | set(drawn)


def _new_needs(needs: Needs, salt: str) -> dict[str, None]:
    """The needs that are drawn below the share, the oldest first, never more than the share."""
    if len(needs) < NEEDS_NEEDED:
        return {}
    drawn = (
        group
        for group, questions in needs.items()
        if len(questions) >= WORDINGS_NEEDED
        and _draw(salt, "need", next(iter(questions))) < NEW_NEEDS_SHARE
    )
    return dict.fromkeys(islice(drawn, min(int(len(needs) * NEW_NEEDS_SHARE), MOST_NEW_NEEDS)))


def _draw(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
