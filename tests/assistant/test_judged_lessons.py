"""Thumbs and preferences as lessons: they train, and nothing that judges is among them."""

from contextlib import closing

import pytest

from assistant.judged_lessons import preferences, thumbs
from assistant.lessons import lessons
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback, approve
from storage.records import Inputs
from tests.assistant.taught import teach

GIVEN = {"origin": "staff", "contributor": "user:1"}


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs."""
    return teach(app, workspace)


@pytest.fixture
def judged(app, taught):
    """Records a reply with an approved thumb, beside an earlier answer if one is given."""

    def judge(question, answer, rating=1, *, earlier=None, finish_reason="stop"):
        inputs = Inputs(question, taught.instructions, taught.instructions_version)
        with closing(app.db()) as db:
            talk = start_conversation(db, taught.id, "user:1")
            asked = add_message(db, talk.id, "user", question)
            known = {"parent_id": asked.id, "inputs": inputs}
            before = None
            if earlier:
                first = add_message(
                    db, talk.id, "assistant", earlier, finish_reason="stop", **known
                )
                before = first.id
            reply = add_message(
                db,
                talk.id,
                "assistant",
                answer,
                variant_of=before,
                finish_reason=finish_reason,
                **known,
            )
            given = add_feedback(db, message_id=reply.id, rating=rating, **GIVEN)
            return approve(db, given.id, reviewer="user:2").id

    return judge


def made(app, workspace, work):
    with closing(app.db()) as db:
        return work(app, db, workspace, lessons(app, db, workspace))


def held_out(app, workspace):
    """The question of the one wording that judges."""
    with closing(app.db()) as db:
        (one,) = (each for each in lessons(app, db, workspace) if each.split != "train")
    return one.inputs.question


def test_a_thumb_is_a_lesson_with_its_label(app, taught, judged):
    up, down = judged("Say hello.", "Ahoy!"), judged("Say goodbye.", "Go away.", -1)
    liked, disliked = made(app, taught, thumbs)
    assert [(one.pair.feedback_id, one.label) for one in (liked, disliked)] == [
        (up, True),
        (down, False),
    ]
    assert {one.kind for one in (liked, disliked)} == {"thumb"}
    assert {one.split for one in (liked, disliked)} == {"train"}
    assert liked.pair.rejected is None and liked.rejected_ids == ()
    assert list(liked.completion_ids) == app.tokenizer.completion_ids("Ahoy!")


def test_a_reply_that_was_cut_off_is_learned_without_an_end(app, taught, judged):
    judged("Say hello.", "Ahoy", -1, finish_reason="length")
    (one,) = made(app, taught, thumbs)
    assert list(one.completion_ids) == app.tokenizer.completion_ids("Ahoy")[:-1]


def test_a_reply_liked_better_is_a_pair_with_the_other(app, taught, judged):
    judged("Say hello.", "Ahoy!", earlier="Good day to you.")
    (one,) = made(app, taught, preferences)
    assert (one.kind, one.label) == ("preference", None)
    assert (one.pair.chosen, one.pair.rejected) == ("Ahoy!", "Good day to you.")
    assert list(one.rejected_ids) == app.tokenizer.completion_ids("Good day to you.")


def test_what_judges_the_round_trains_in_neither_form(app, taught, judged):
    asked = held_out(app, taught).upper()
    judged(asked, "No idea.", -1)
    judged("Say hello.", "Ahoy!")
    assert [one.inputs.question for one in made(app, taught, thumbs)] == ["Say hello."]
    judged(f" {asked} ", "Other words.", earlier="Some words.")
    assert made(app, taught, preferences) == []


def test_without_judgements_there_are_no_such_lessons(app, taught):
    assert made(app, taught, thumbs) == made(app, taught, preferences) == []
