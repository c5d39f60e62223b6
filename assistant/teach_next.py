"""What to teach next: questions that were not answered well, those of one kind together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.app import App
from assistant.likeliest import NEAR_FROM
from storage.gaps import Gap, gaps
from storage.overrides import normalise
from storage.pairs import pair_questions
from storage.records import Workspace

if TYPE_CHECKING:
    import numpy as np

ALIKE = 0.6
"""Cosine similarity to a group's first question from which another one joins it."""


@dataclass(frozen=True)
class Topic:
    """Questions of one kind, the newest first; `asked` counts each time it was asked."""

    questions: tuple[str, ...]
    asked: int
    declined: int
    disliked: int
    newest: Gap


def teach_next(app: App, db: Database, workspace: Workspace, *, days: int = 30) -> list[Topic]:
    """Topics by how often they were asked; what an approved correction is near to is known."""
    asked: dict[str, list[Gap]] = {}
    for gap in gaps(db, workspace.id, floor=workspace.settings.relevance_floor, days=days):
        asked.setdefault(normalise(gap.question), []).append(gap)
    if not asked:
        return []
    embed = app.embedder.embed
    vectors = embed([same[0].question for same in asked.values()])
    taught = embed(list(pair_questions(db, workspace.id).values()))
    known = (vectors @ taught.T).max(axis=1, initial=-1.0) >= NEAR_FROM
    topics = _alike(vectors[~known])
    open_ones = [same for same, is_known in zip(asked.values(), known, strict=True) if not is_known]
    found = [_topic([open_ones[place] for place in topic]) for topic in topics]
    return sorted(found, key=lambda topic: -topic.asked)


def _alike(vectors: "np.ndarray") -> list[list[int]]:
    """The places of vectors that are near to the first of their group, in their order."""
    groups: list[list[int]] = []
    for place, vector in enumerate(vectors):
        near = [float(vector @ vectors[group[0]]) for group in groups]
        if near and max(near) >= ALIKE:
            groups[near.index(max(near))].append(place)
        else:
            groups.append([place])
    return groups


def _topic(wordings: Sequence[Sequence[Gap]]) -> Topic:
    everything = [gap for same in wordings for gap in same]
    return Topic(
        questions=tuple(same[0].question for same in wordings),
        asked=len(everything),
        declined=sum(gap.declined for gap in everything),
        disliked=sum(gap.disliked for gap in everything),
        newest=everything[0],
    )
