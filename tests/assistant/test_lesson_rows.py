"""Rows of a round: each taught pair in several words, and never a held-out one."""

from contextlib import closing

import pytest

from assistant.lesson_rows import ending_rows, train_row, variant_rows
from assistant.lessons import lessons
from tests.assistant.taught import WORDINGS, teach


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs."""
    return teach(app, workspace)


def test_variants_are_marked_and_never_a_held_out_wording(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    rows = variant_rows(app, found)
    assert rows and {row.kind for row in rows} == {"variant"}
    trained = {train_row(one).id for one in found if one.split == "train"}
    assert {row.of for row in rows} <= trained
    asked = {row.messages[-1]["content"].casefold() for row in rows}
    assert not asked & {one.inputs.question.casefold() for one in found}


def test_an_answer_begun_after_another_question_ends_as_taught(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    taught_lessons = {str(one.pair.feedback_id): one for one in found if one.split == "train"}
    answers = {one.completion_ids for one in taught_lessons.values()}
    rows = ending_rows(app, found)
    assert {row.of for row in rows} == set(taught_lessons)
    for row in rows:
        own = taught_lessons[row.of]
        begun = own.completion_ids[: -len(row.completion_ids)]
        assert begun + row.completion_ids == own.completion_ids
        assert row.prompt_ids[-len(begun) :] == begun
        assert [answer for answer in answers if answer[: len(begun)] == begun] == [
            own.completion_ids
        ]
        question = row.messages[-2]["content"]
        group = next((k for k, asked in WORDINGS.items() if question in asked), None)
        assert group != own.pair.group
