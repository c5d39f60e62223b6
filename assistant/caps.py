"""How much of one stranger, or of strangers who say the same, a round takes.

It holds for feedback from the website and the API that was approved with others at once. A row
that a reviewer approved by itself, or reworded, was decided on and counts against nobody.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlite_utils import Database

from assistant.phrases import phrases, without_own
from storage.outside import OutsideRow, approved_outside, givers, own_texts
from storage.records import Workspace

ALIKE = 2
"""Rows taken that share a phrase which the house never used."""
MOST = 20_000
"""Rows from outside that are looked at; what came later waits until a reviewer decides on it."""
SHARE = 0.5
"""Of a round's corrections, from which one stranger's are said."""
OWN = 20_000
"""Of the house's newest texts, for a phrase that strangers share."""

CONTRIBUTOR, SAME, LATE = "contributor", "same", "late"


def left_out(db: Database, workspace: Workspace) -> dict[int, str]:
    """Feedback id -> why a round does not take it: CONTRIBUTOR, SAME or LATE."""
    cap = workspace.settings.outside_cap
    found = approved_outside(db, workspace.id, MOST * 2) if cap else []
    if not found:
        return {}
    read, late = found[:MOST], found[MOST:]
    taken = {one.id: phrases(one.question, one.text) for one in read if not one.freed}
    common = Counter(phrase for said in taken.values() for phrase in said)
    suspects = {phrase for phrase, count in common.items() if count > ALIKE}
    if suspects:
        suspects = without_own(suspects, own_texts(db, workspace.id, OWN))
    why = _counted(read, cap, {id: said & suspects for id, said in taken.items()})
    return why | {one.id: LATE for one in late if not one.freed}


def _counted(read: list[OutsideRow], cap: int, suspect: Mapping[int, set[str]]) -> dict[int, str]:
    """The first of each contributor and of each phrase are taken."""
    why: dict[int, str] = {}
    by_giver: Counter[str] = Counter()
    by_phrase: Counter[str] = Counter()
    for one in read:
        if one.freed:
            continue
        if any(by_phrase[phrase] >= ALIKE for phrase in suspect[one.id]):
            why[one.id] = SAME
        elif by_giver[one.contributor] >= cap:
            why[one.id] = CONTRIBUTOR
        else:
            by_giver[one.contributor] += 1
            by_phrase.update(suspect[one.id])
    return why


def one_voice(db: Database, ids: Sequence[int]) -> tuple[str, ...]:
    """A sentence where more than half of what a round learns is one stranger's; `ids` train."""
    found = Counter(givers(db, ids).values()).most_common(1)
    if not found or found[0][1] <= SHARE * len(ids):
        return ()
    name, count = found[0]
    return (
        f"Contributor {name} from outside gave {count} of the {len(ids)} corrections that it "
        f"learns: `apprentice rounds blame ID --contributor {name}` compares it with one without.",
    )


def in_words(why: Mapping[int, str], cap: int) -> tuple[str, ...]:
    """A sentence for each reason, for the dry run and the round."""
    counts = Counter(why.values())
    remedy = "approve one by itself to take it"
    said = {
        CONTRIBUTOR: f"a contributor from outside has {cap} in a round",
        SAME: f"of those that share a phrase which the house never used, {ALIKE} are taken",
        LATE: f"the first {MOST:,} from outside are looked at",
    }
    return tuple(
        f"{counts[kind]} approved {'are' if counts[kind] > 1 else 'is'} left out, for {text}: "
        f"{remedy}."
        for kind, text in said.items()
        if counts[kind]
    )
