"""The cases that judge a round: held-out wordings, held-out needs, and reviewed paraphrases.

Every prompt is the one that service would send, with the examples that it would show. Only pairs
that train are shown, but among them other wordings of the same need: in service they would be too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.fitting import fitted, served_room
from assistant.lessons import Lesson
from assistant.likeliest import weighs
from assistant.masks import Masks
from assistant.opponents import answer_tokens
from assistant.prompt import build_messages
from assistant.retrieval import EXAMPLES_AT_MOST, approved_near, examples_for
from storage.pairs import pair_ids
from storage.records import Example, Split, Workspace
from tuning.bundle import TrainRow, asked
from tuning.checks import usable_check
from tuning.evaluate import Case
from tuning.style import STYLE_GROUP, style_check

FEW_SHOT_TOKENS = 384
"""Tokens of examples for the base with examples, where the workspace shows none in service."""
FEW_SHOT_EXAMPLES = 8
"""Examples that it then gets at most: an opponent that a round must not lose to is a strong one."""


def held_out_cases(
    app: App,
    db: Database,
    workspace: Workspace,
    found: Sequence[Lesson],
    checks: Sequence[Mapping[str, Any]],
) -> list[Case]:
    """All cases of the round.

    Each is judged by the workspace's check that fits its answer; a text of an author
    (`style import`) by how like it the answer is to the author's taught ones.
    """
    held = {one.pair.feedback_id for one in found if one.split != "train"}
    # all others, for a round that teaches an adapter on leaves some of them out
    taught = pair_ids(db, workspace.id) - held
    own = [one.pair.chosen for one in found if one.split == "train" and _is_style(one)]
    style = style_check(own) if own else None
    masks = Masks(db, workspace)
    cases = []
    for lesson in found:
        chosen = lesson.pair.chosen
        check = style if style and _is_style(lesson) else usable_check(chosen, checks)
        for id, question in _asked(lesson):
            case = _case(app, db, workspace, lesson, question, taught, masks)
            cases.append(replace(case, id=id, check=check))
    return cases


def _is_style(lesson: Lesson) -> bool:
    return lesson.pair.group.startswith(STYLE_GROUP)


def _asked(lesson: Lesson) -> list[tuple[str, str]]:
    """The questions by which this lesson judges, each with its case's id."""
    own = [(str(lesson.pair.feedback_id), lesson.inputs.question)]
    written = [
        (paraphrase_case_id(lesson.pair.feedback_id, one.id), one.question)
        for one in lesson.paraphrases
    ]
    return written if lesson.split == "train" else own + written


def paraphrase_case_id(feedback_id: int, paraphrase_id: int) -> str:
    """The id of a paraphrase's case; it begins, like a variant's, with its feedback's."""
    return f"{feedback_id}~p{paraphrase_id}"


def not_held_out(rows: Sequence[TrainRow], cases: Sequence[Case]) -> list[TrainRow]:
    """The replay rows whose question judges nothing: an ordinary one may have been corrected."""
    judging = {asked(case.messages) for case in cases}
    return [row for row in rows if asked(row.messages) not in judging]


def _case(
    app: App,
    db: Database,
    workspace: Workspace,
    lesson: Lesson,
    question: str,
    taught: frozenset[int],
    masks: Masks,
) -> Case:
    bare = replace(lesson.inputs, question=question, examples=())
    shown = workspace.settings.example_tokens

    def near(budget: int, limit: int) -> tuple[Example, ...]:
        return masks.examples(
            examples_for(
                app, db, workspace, question, only_feedback_ids=taught, limit=limit, budget=budget
            )
        )

    room = served_room(app, workspace)
    served, served_ids = fitted(app, replace(bare, examples=near(shown, EXAMPLES_AT_MOST)), room)
    few_shot = served if shown else replace(bare, examples=near(FEW_SHOT_TOKENS, FEW_SHOT_EXAMPLES))
    few_room = app.settings.context - answer_tokens(app, workspace, [lesson.pair.chosen])
    part: Split = "new needs" if lesson.split == "new needs" else "new wordings"
    return Case(
        id="",
        group=lesson.pair.group,
        slice=part,
        messages=tuple(build_messages(served)),
        prompt_ids=tuple(served_ids),
        expected=lesson.pair.chosen,
        few_shot_ids=tuple(fitted(app, few_shot, few_room)[1]),
        bare_ids=tuple(fitted(app, bare, room)[1]) if shown else (),
        approved=tuple(
            (masks.text(text), alike)
            for text, alike in approved_near(app, db, workspace, question, only_feedback_ids=taught)
        )
        if weighs(workspace)
        else (),
    )
