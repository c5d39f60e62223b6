"""What judges a round: the prompt of each opponent, and paraphrases beside held-out wordings."""

from contextlib import closing

import pytest

from assistant.held_out import held_out_cases, not_held_out
from assistant.lesson_rows import train_row, variant_rows
from assistant.lessons import lessons
from assistant.opponents import ANSWER_TOKENS, opposing_rows
from assistant.retrieval import approved_near
from assistant.round_plan import plan_round
from storage.pairs import pair_ids
from storage.paraphrases import add_paraphrase
from storage.workspaces import set_workspace
from storage.workspaces import workspace as find_workspace
from tests.assistant.command_line import run_verb, write_rows

WORDINGS = {
    "orders": ["Which orders are closed?", "List closed orders.", "Closed orders, please."],
    "late": ["Which orders are late?", "List late orders.", "Late orders, please."],
    "thanks": ["Somebody thanks us. What do we say?", "Answer a thank-you note."],
    "hours": ["When do you open?"],
}
CHECKS = [{"type": "contains"}]


@pytest.fixture
def taught(app, workspace, tmp_path):
    rows = [
        {"question": question, "correction": f"right: {group}", "answer": "no", "group": group}
        for group, questions in WORDINGS.items()
        for question in questions
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    return workspace


def judged(app, workspace, **paraphrases):
    """(lessons, cases by id) after these paraphrases were written: need=question."""
    with closing(app.db()) as db:
        for need, question in paraphrases.items():
            pair = next(one.pair for one in lessons(app, db, workspace) if one.pair.group == need)
            add_paraphrase(db, pair.feedback_id, question, author="user:1")
        found = lessons(app, db, workspace)
        cases = held_out_cases(app, db, workspace, found, CHECKS)
    return found, {case.id: case for case in cases}


def text(app, ids):
    return app.tokenizer.decode(list(ids))


def test_the_base_gets_near_corrections_that_train_and_never_what_is_held_out(app, taught):
    found, cases = judged(app, taught)
    held = [one for one in found if one.split != "train"]
    assert {one.pair.group for one in held} == {"orders", "late"}
    assert cases.keys() == {str(one.pair.feedback_id) for one in held}
    for lesson in held:
        case = cases[str(lesson.pair.feedback_id)]
        assert (case.prompt_ids, case.messages) == (lesson.prompt_ids, lesson.messages)
        assert (case.bare_ids, case.check) == ((), {"type": "contains"})
        shown = text(app, case.few_shot_ids)
        assert f"right: {lesson.pair.group}" in shown, "another wording of the need is shown"
        assert shown.count(lesson.inputs.question) == 1
        other = next(one for one in held if one is not lesson)
        assert other.inputs.question not in shown
    assert list(opposing_rows(None, list(cases.values()))) == [
        "candidate",
        "serving",
        "base",
        "few_shot",
    ]


def test_examples_that_service_shows_are_in_every_opponents_prompt(app, taught):
    with closing(app.db()) as db:
        generous = set_workspace(db, "default", "example_tokens", "200")
    found, cases = judged(app, generous)
    for case in cases.values():
        assert case.few_shot_ids == case.prompt_ids
        assert f"right: {case.group}" in text(app, case.prompt_ids)
        assert len(case.bare_ids) < len(case.prompt_ids)
    for lesson in found:
        if lesson.split == "train":
            groups = {one.feedback_id: one for one in lesson.inputs.examples}
            assert lesson.pair.feedback_id not in groups
            assert all(one.answer != f"right: {lesson.pair.group}" for one in groups.values())
    rows = opposing_rows(3, list(cases.values()))
    assert (rows["candidate_alone"], rows["serving_alone"], rows["base_alone"]) == (0, 3, None)


def test_exact_answers_are_weighed_with_those_that_train_and_never_with_what_is_held_out(
    app, workspace, taught
):
    assert not any(case.approved for case in judged(app, taught)[1].values())
    with closing(app.db()) as db:
        set_workspace(db, "default", "checks", '[{"type": "json"}]')
        taught = find_workspace(db, "default")
    found, cases = judged(app, taught)
    by_id = {str(one.pair.feedback_id): one.pair.group for one in found}
    assert cases
    for id, case in cases.items():
        answers = [answer for answer, _ in case.approved]
        assert answers[0] == f"right: {by_id[id]}"
        assert sorted(answers) == [f"right: {need}" for need in sorted(WORDINGS)]
    with closing(app.db()) as db:
        alone = [one for one in found if one.pair.group == "orders"]
        held = {one.pair.feedback_id for one in alone if one.split != "train"}
        only = pair_ids(db, taught.id) - {one.pair.feedback_id for one in alone}
        assert held
        near = approved_near(app, db, taught, "List closed orders.", only_feedback_ids=only)
    assert "right: orders" not in dict(near) and len(near) == 3


def test_examples_leave_room_for_an_answer(app, taught):
    with closing(app.db()) as db:
        wordy = set_workspace(db, "default", "instructions", "Tell me more about it. " * 16)
    _, cases = judged(app, wordy)
    room = app.settings.context - ANSWER_TOKENS
    for case in cases.values():
        assert len(case.few_shot_ids) <= room
        assert 1 <= text(app, case.few_shot_ids).count("right: ") < 5, "some of them fit"


def test_a_paraphrase_judges_a_need_with_few_wordings_and_never_trains(app, taught):
    asked = "At what time are you there?"
    found, cases = judged(app, taught, hours=asked)
    lesson = next(one for one in found if one.pair.group == "hours")
    assert lesson.split == "train"
    (case,) = [case for case in cases.values() if case.group == "hours"]
    assert case.id == f"{lesson.pair.feedback_id}~p1"
    assert (case.slice, case.expected) == ("new wordings", "right: hours")
    assert asked in case.messages[-1]["content"]
    assert case.messages[:-1] == lesson.messages[:-1]
    rows = [*(train_row(one) for one in found if one.split == "train"), *variant_rows(app, found)]
    assert asked.casefold() not in {row.messages[-1]["content"].casefold() for row in rows}
    for other in cases.values():
        assert other is case or asked not in text(app, other.few_shot_ids)


def test_variants_are_never_a_paraphrase(app, taught):
    before = list(variant_rows(app, judged(app, taught)[0]))
    questions = [row.messages[-1]["content"] for row in before if row.group == "hours"]
    assert questions
    after = list(variant_rows(app, judged(app, taught, hours=questions[0])[0]))
    assert questions[0] not in {row.messages[-1]["content"] for row in after}


def test_the_plan_counts_needs_judged_by_paraphrases_and_says_how_to_write_one(app, taught):
    first = plan_round(app, taught)
    assert (first.paraphrases, first.held_out, first.needs) == (0, 2, 4)
    assert "Only 2 needs" in first.advice and "feedback paraphrase" in first.advice
    judged(app, taught, hours="At what time are you there?", thanks="Reply to thanks.")
    second = plan_round(app, taught)
    assert (second.paraphrases, second.held_out, second.train) == (2, 4, first.train)
    assert "Only 4 needs" in second.advice


def test_an_ordinary_question_that_judges_is_not_replayed(app, taught):
    found, cases = judged(app, taught)
    rows = [train_row(one) for one in found]
    kept = not_held_out(rows, list(cases.values()))
    assert {row.id for row in rows} - {row.id for row in kept} == set(cases)
