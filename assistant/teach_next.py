"""What to teach next: questions that were not answered well, those of one kind together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.app import App
from assistant.likeliest import NEAR_FROM
from knowledge.corrections import near_questions, sync_corrections
from storage.gaps import Gap, gaps
from storage.overrides import normalise
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
    vectors = app.embedder.embed([same[0].question for same in asked.values()])
    sync_corrections(db, app.index, app.embedder, workspace.id)
    unknown = [
        (same, vector)
        for same, vector in zip(asked.values(), vectors, strict=True)
        if not _is_taught(app, workspace, vector)
    ]
    topics = _alike([vector for _, vector in unknown])
    found = [_topic([unknown[place][0] for place in topic]) for topic in topics]
    return sorted(found, key=lambda topic: -topic.asked)


def _is_taught(app: App, workspace: Workspace, vector: "np.ndarray") -> bool:
    """Whether a correction was approved of a question near to this one."""
    near = near_questions(app.index, app.embedder, workspace.id, vector, 1)
    return any(similarity >= NEAR_FROM for similarity in near.values())


def _alike(vectors: Sequence["np.ndarray"]) -> list[list[int]]:
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
