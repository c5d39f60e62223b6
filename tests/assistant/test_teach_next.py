"""What to teach next: open questions by topic, without what is taught already."""

from contextlib import closing

import pytest

from assistant.teach_next import teach_next
from storage.conversations import add_message, start_conversation
from tests.assistant.command_line import run_verb
from tests.assistant.taught import teach


@pytest.fixture
def asked(app, workspace):
    with closing(app.db()) as db:
        for question in (
            "Do you ship to Canada?",
            "What does shipping to Canada cost?",
            "do you ship to canada",
            "Is there a job for a sailmaker?",
            "Which closed orders are there?",
        ):
            talk = start_conversation(db, workspace.id, "user:1")
            before = add_message(db, talk.id, "user", question)
            add_message(
                *(db, talk.id, "assistant", "The documents do not say."),
                parent_id=before.id,
                finish_reason="stop",
                relevance=0.2,
                declined=True,
            )
    return workspace


def test_questions_of_one_kind_are_together_the_most_asked_first(app, asked):
    with closing(app.db()) as db:
        topics = teach_next(app, db, asked)
    assert [(set(topic.questions), topic.asked) for topic in topics][0] == (
        {"do you ship to canada", "What does shipping to Canada cost?"},
        3,
    )
    assert sorted(topic.asked for topic in topics) == [1, 1, 3]
    assert all(topic.declined == topic.asked and not topic.disliked for topic in topics)


def test_what_is_taught_is_no_gap(app, asked):
    teach(app, asked)
    rows, _ = run_verb(app, "feedback gaps", workspace="default", days=30)
    assert [row["asked"] for row in rows] == [3, 1]
    assert "Which closed orders are there?" not in str(rows)


def test_nothing_asked_nothing_open(app, workspace):
    with closing(app.db()) as db:
        assert teach_next(app, db, workspace) == []
