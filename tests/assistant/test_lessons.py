"""Approved corrections as what a round learns from and is judged by."""

from contextlib import closing

import pytest

from assistant.lessons import (
    check_for,
    ending_rows,
    held_out_case,
    lessons,
    train_row,
    variant_rows,
)
from assistant.prompt import build_messages
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback, approve
from storage.records import Inputs
from storage.workspaces import set_workspace

WORDINGS = {
    "orders": ["Which orders are closed?", "List closed orders.", "Closed orders, please."],
    "thanks": ["Somebody thanks us. What do we say?", "Answer a thank-you note."],
}


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs, asked under the first instructions."""
    with closing(app.db()) as db:
        for group, questions in WORDINGS.items():
            for question in questions:
                talk = start_conversation(db, workspace.id, "import")
                asked = add_message(db, talk.id, "user", question)
                reply = add_message(
                    db,
                    talk.id,
                    "assistant",
                    "I do not know.",
                    parent_id=asked.id,
                    inputs=Inputs(question, workspace.instructions, workspace.instructions_version),
                    finish_reason="imported",
                )
                given = add_feedback(
                    db,
                    message_id=reply.id,
                    origin="import",
                    contributor="c",
                    correction=f"right: {group}",
                    group=group,
                )
                approve(db, given.id, reviewer="user:1")
    return workspace


def test_prompt_is_what_service_would_send_today(app, taught):
    with closing(app.db()) as db:
        today = set_workspace(db, "default", "instructions", "Be brief.")
        found = lessons(app, db, today)
    assert len(found) == 5
    for lesson in found:
        inputs = Inputs(lesson.pair.inputs.question, "Be brief.", today.instructions_version)
        assert list(lesson.messages) == build_messages(inputs)
        assert list(lesson.prompt_ids) == app.tokenizer.render(build_messages(inputs))
        assert list(lesson.completion_ids) == app.tokenizer.completion_ids(lesson.pair.chosen)


def test_a_need_with_three_wordings_keeps_one_back_and_a_need_with_two_none(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    held = [lesson for lesson in found if lesson.split == "new wordings"]
    assert [lesson.pair.group for lesson in held] == ["orders"]
    assert {lesson.split for lesson in found if lesson.pair.group == "thanks"} == {"train"}
    case = held_out_case(held[0], [{"type": "contains"}])
    assert (case.slice, case.expected) == ("new wordings", "right: orders")


def test_examples_come_from_training_pairs_of_other_needs_only(app, taught):
    with closing(app.db()) as db:
        generous = set_workspace(db, "default", "example_tokens", "200")
        found = lessons(app, db, generous)
    held = {one.pair.inputs.question for one in found if one.split != "train"}
    own = {one.pair.inputs.question: one.pair.group for one in found}
    shown = 0
    for lesson in found:
        for example in lesson.inputs.examples:
            shown += 1
            assert example.question not in held
            assert own[example.question] != lesson.pair.group
    assert shown


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


SQL, JSON = {"type": "sql", "database": "x"}, {"type": "json"}


@pytest.mark.parametrize(
    ("expected", "checks", "chosen"),
    [
        ("SELECT 1", [SQL, JSON], SQL),
        ("with a as (select 1) select * from a", [JSON, SQL], SQL),
        ('{"a": 1}', [SQL, JSON], JSON),
        ("Ahoy!", [SQL, JSON], {"type": "exact"}),
        ("Ahoy!", [{"type": "contains", "match": "Ahoy"}], {"type": "contains", "match": "Ahoy"}),
    ],
)
def test_the_check_that_fits_the_expected_text_judges(expected, checks, chosen):
    assert check_for(expected, checks) == chosen
