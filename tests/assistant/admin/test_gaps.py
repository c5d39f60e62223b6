"""The gaps tab: open questions by topic, and an answer that goes to the queue."""

from contextlib import closing

import pytest

from assistant.admin.gaps import GapsTab
from assistant.security import may_review
from storage.conversations import add_message, start_conversation
from storage.feedback import list_feedback
from storage.records import Inputs


@pytest.fixture
def gaps(tab):
    return tab(GapsTab)


@pytest.fixture
def asked(office):
    """A question that was declined in the team's workspace; the reply's id."""
    with closing(office.app.db()) as db:
        talk = start_conversation(db, office.team.id, "user:1")
        before = add_message(db, talk.id, "user", "Do you ship <to> Canada?")
        return add_message(
            *(db, talk.id, "assistant", "The documents do not say."),
            parent_id=before.id,
            inputs=Inputs("Do you ship <to> Canada?", "", 1),
            finish_reason="stop",
            relevance=0.2,
            declined=True,
        ).id


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def test_open_questions_are_listed(office, gaps, asked):
    shown = press(office, gaps.show)
    assert (
        "<td>1</td><td>Do you ship &lt;to&gt; Canada?</td><td>1 declined</td>" in shown[gaps.listed]
    )
    assert shown[gaps.teach]["visible"]
    assert shown[gaps.chosen]["choices"] == [("Do you ship <to> Canada?", asked)]


def test_an_answer_goes_to_the_queue_and_the_gap_is_closed(office, gaps, asked):
    shown = press(office, gaps.save_it, asked, "Yes, within ten days.")
    assert "waits for approval" in shown[gaps.said]
    assert "No question is open." in shown[gaps.listed] and not shown[gaps.teach]["visible"]
    with closing(office.app.db()) as db:
        (given,) = list_feedback(db, office.team.id)
    assert (given.status, given.correction) == ("new", "Yes, within ten days.")
    assert given.question == "Do you ship <to> Canada?"


def test_only_a_question_of_the_list_is_answered(office, gaps, asked):
    with pytest.raises(Exception, match="Write the right answer first"):
        press(office, gaps.save_it, asked, " ")
    for other in (None, "no such message"):
        with pytest.raises(Exception, match="Choose a question of the list first"):
            press(office, gaps.save_it, other, "Yes.")
