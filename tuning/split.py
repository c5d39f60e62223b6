"""Which pairs train and which judge. Pure, and stable while the data grows.

Two slices never train. *New wordings*: in a need with at least three wordings, one. *New needs*:
whole needs, at most a tenth of them and none below fifty. A need with one or two wordings is
never held out: that would un-teach it.

The choice looks only at a need's three oldest wordings (by feedback id), so that the fourth and
later ones never move it: an adapter that serves was not trained on what judges its successor.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from storage.records import Split

WORDINGS_NEEDED = 3
"""Wordings of a need before one of them is held out."""
NEEDS_NEEDED = 50
"""Needs before any whole need is held out."""
NEW_NEEDS_SHARE = 0.1
"""Whole needs held out, at most, as a share of all needs."""


def split(pairs: Sequence[tuple[int, str]], *, salt: str) -> dict[int, Split]:
    """The split of each pair, given as (feedback id, group); `salt` names the workspace.

    Only "train", "new wordings" and "new needs" are given out.
    """
    needs: dict[str, list[int]] = defaultdict(list)
    for feedback_id, group in sorted(pairs):
        needs[group].append(feedback_id)
    new_needs = _new_needs(needs, salt)
    splits: dict[int, Split] = {}
    for group, ids in needs.items():
        for feedback_id in ids:
            splits[feedback_id] = "new needs" if group in new_needs else "train"
        if group not in new_needs and len(ids) >= WORDINGS_NEEDED:
            splits[_held_out_wording(group, ids, salt)] = "new wordings"
    return splits


def _held_out_wording(group: str, ids: Sequence[int], salt: str) -> int:
    return min(ids[:WORDINGS_NEEDED], key=lambda feedback_id: _draw(salt, group, str(feedback_id)))


def _new_needs(needs: dict[str, list[int]], salt: str) -> set[str]:
    """The needs that are drawn below the share, the oldest first, never more than the share."""
    if len(needs) < NEEDS_NEEDED:
        return set()
    drawn = [
        group
        for group, ids in needs.items()
        if len(ids) >= WORDINGS_NEEDED and _draw(salt, group) < NEW_NEEDS_SHARE
    ]
    drawn.sort(key=lambda group: needs[group][0])
    return set(drawn[: int(len(needs) * NEW_NEEDS_SHARE)])


def _draw(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
