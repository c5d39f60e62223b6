"""What is odd about feedback from outside that waits for a reviewer, each in one sentence.

Nothing is decided by it. It looks at the newest that wait, so it costs the same however many
there are; one that is flagged says so in the queue and on the command line.
"""

import re
from collections import Counter
from statistics import median

from sqlite_utils import Database

from assistant.phrases import shared, without_own
from storage.outside import OutsideRow, approved_outside, own_texts, waiting_outside
from storage.records import Workspace

LOOKED_AT = 500
"""The newest of each status that waits."""
EARLIER = 500
"""Approved ones from outside that phrases are compared with."""
OWN = 2000
"""Of the house's newest texts, for a phrase or a website that strangers name."""
MANY_BY_ONE = 10
"""In an hour, of one contributor."""
MANY_AT_ONCE = 20
"""In a minute, of anybody outside."""
GIVERS = 3
"""Contributors that share a phrase."""
LONG, LONG_TIMES = 600, 6
"""Characters, and times the median of what waits, from which a text is an outlier."""
_HOST = re.compile(r"(?:https?://|\bwww\.)([\w.-]+\.\w{2,})", re.IGNORECASE)


def flags(db: Database, workspace: Workspace) -> dict[int, tuple[str, ...]]:
    """Feedback id -> a sentence for each thing that is odd, of those that wait; newest first."""
    found = waiting_outside(db, workspace.id, LOOKED_AT)
    if not found:
        return {}
    earlier = approved_outside(db, workspace.id, EARLIER)
    own = own_texts(db, workspace.id, OWN)
    phrase = _phrases(found, earlier, own)
    by_hour = Counter((one.contributor, one.created_at[:13]) for one in found)
    by_minute = Counter(one.created_at[:16] for one in found)
    usual = median(len(one.text) for one in found if one.text) if any(o.text for o in found) else 0
    known_hosts = {host for text in own for host in _hosts(text)}
    told: dict[int, tuple[str, ...]] = {}
    for one in found:
        said = [
            _burst(by_hour[one.contributor, one.created_at[:13]], by_minute[one.created_at[:16]]),
            phrase.get(one.id, ""),
            _length(one, usual),
            _website(one, known_hosts),
        ]
        if any(said):
            told[one.id] = tuple(filter(None, said))
    return told


def _burst(by_one: int, at_once: int) -> str:
    if by_one >= MANY_BY_ONE:
        return f"This contributor gave {by_one} within an hour."
    if at_once >= MANY_AT_ONCE:
        return f"{at_once} came from outside within this minute."
    return ""


def _phrases(found: list[OutsideRow], earlier: list[OutsideRow], own: list[str]) -> dict[int, str]:
    everything = {one.id: one for one in (*earlier, *found)}
    texts = {id: (one.question, one.text) for id, one in everything.items()}
    givers = {id: one.contributor for id, one in everything.items()}
    suspects = shared(texts, givers, GIVERS)
    told: dict[int, str] = {}
    for phrase in sorted(without_own(suspects, own), key=lambda one: (len(suspects[one]), one)):
        people = len({givers[id] for id in suspects[phrase]})
        for id in suspects[phrase]:  # the one that most use is told
            told[id] = f"{people} contributors say “{phrase}”, which no text of the house has."
    return told


def _length(one: OutsideRow, usual: float) -> str:
    if len(one.text) < LONG or len(one.text) < LONG_TIMES * usual:
        return ""
    return f"Its answer has {len(one.text):,} characters; half of those that wait have {usual:.0f}."


def _website(one: OutsideRow, known: set[str]) -> str:
    new = sorted(_hosts(one.text) - known)
    return f"It names {new[0]}, a website that no text of the house names." if new else ""


def _hosts(text: str) -> set[str]:
    return {host.casefold().removeprefix("www.") for host in _HOST.findall(text)}
