"""Approved corrections as what a round learns from and is judged by."""

from contextlib import closing
from dataclasses import replace

import pytest

from assistant.lessons import lessons, sentinel_cases, sentinel_choices
from assistant.prompt import build_messages
from storage.records import Inputs
from storage.workspaces import set_workspace
from tests.assistant.taught import teach


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs, asked under the first instructions."""
    return teach(app, workspace)


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


def test_general_questions_are_asked_as_this_workspace_would(app, taught):
    cases, choices = sentinel_cases(app, taught), sentinel_choices(app, taught)
    by_id = {choice.id: choice for choice in choices}
    assert len(cases) == 60 and len(by_id) == len(choices) >= 500
    for case in cases:
        inputs = Inputs(case.messages[-1]["content"], taught.instructions, 1)
        assert list(case.messages) == build_messages(inputs)
        assert case.prompt_ids == by_id[case.id].prompt_ids
        assert tuple(app.tokenizer.completion_ids(case.expected)) == by_id[case.id].options[0]
        assert len(by_id[case.id].options) > 1


def test_a_general_question_that_was_corrected_is_no_longer_one(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    general = sentinel_cases(app, taught)[0]
    asked = general.messages[-1]["content"].upper()
    corrected = replace(found[0], inputs=replace(found[0].inputs, question=f" {asked}"))
    for made in (sentinel_cases, sentinel_choices):
        ids = [one.id for one in made(app, taught, [corrected])]
        assert general.id not in ids
        assert len(ids) == len(made(app, taught, found)) - 1
