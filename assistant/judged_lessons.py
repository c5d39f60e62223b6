"""Replies that were judged without being corrected, as lessons: preferences and thumbs.

They train and never judge: what a person liked is no text that an answer could be held against.
What is asked in a held-out case is left out, so that it stays unseen.
"""

from collections.abc import Sequence

from sqlite_utils import Database

from assistant.app import App
from assistant.caps import left_out
from assistant.lessons import Lesson, judging_questions, lesson_of
from assistant.masks import Masks
from storage.pairs import approved_preferences, approved_thumbs
from storage.records import Pair, Workspace
from tuning.augment import same_words


def preferences(
    app: App, db: Database, workspace: Workspace, found: Sequence[Lesson]
) -> list[Lesson]:
    """Replies liked better than others; `found` are the corrections' lessons."""
    capped = left_out(db, workspace)
    masks, taught = Masks(db, workspace), _taught(found)
    made = [
        lesson_of(app, db, workspace, pair, masks=masks, taught=taught, kind="preference")
        for pair in approved_preferences(db, workspace.id)
        if pair.feedback_id not in capped
    ]
    return _unseen(made, found)


def thumbs(app: App, db: Database, workspace: Workspace, found: Sequence[Lesson]) -> list[Lesson]:
    """Replies with a thumb alone; `found` are the corrections' lessons."""
    capped = left_out(db, workspace)
    masks, taught = Masks(db, workspace), _taught(found)
    made = [
        lesson_of(
            app,
            db,
            workspace,
            Pair(one.feedback_id, one.group, one.inputs, one.answer, None),
            masks=masks,
            taught=taught,
            kind="thumb",
            label=one.up,
            whole=one.whole,
        )
        for one in approved_thumbs(db, workspace.id)
        if one.feedback_id not in capped
    ]
    return _unseen(made, found)


def _taught(found: Sequence[Lesson]) -> frozenset[int]:
    return frozenset(one.pair.feedback_id for one in found if one.split == "train")


def _unseen(made: Sequence[Lesson], found: Sequence[Lesson]) -> list[Lesson]:
    questions = judging_questions(found)
    groups = {one.pair.group for one in found if one.split == "new needs"}
    return [
        one
        for one in made
        if same_words(one.inputs.question) not in questions and one.pair.group not in groups
    ]
