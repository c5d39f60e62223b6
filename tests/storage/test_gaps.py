import pytest

from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.feedback import add_feedback, reject
from storage.gaps import gaps
from storage.records import Inputs
from storage.workspaces import create_workspace

FLOOR = 0.5


@pytest.fixture
def ask(db, workspace):
    """`ask(question, ...)`: a reply to it, as it was saved."""

    def build(question, *, owner="user:1", where=workspace, finish_reason="stop", **fields):
        talk = start_conversation(db, where.id, owner)
        asked = add_message(db, talk.id, "user", question)
        return add_message(
            *(db, talk.id, "assistant", "So."),
            parent_id=asked.id,
            inputs=Inputs(question, "", 1),
            finish_reason=finish_reason,
            **fields,
        )

    return build


@pytest.fixture
def judge(db):
    def give(reply, **judgement):
        return add_feedback(
            db, message_id=reply.id, origin="staff", contributor="user:1", **judgement
        )

    return give


def test_what_was_declined_disliked_or_found_little_for(db, workspace, ask, judge):
    ask("Well found?", relevance=0.8)
    ask("Not looked up?")
    little = ask("Little found?", relevance=0.2)
    ask("Declined?", relevance=0.1, declined=True)
    judge(ask("Disliked?", relevance=0.9), rating=-1)
    found = gaps(db, workspace.id, floor=FLOOR)
    assert [(gap.question, gap.declined, gap.disliked) for gap in found] == [
        ("Disliked?", False, True),
        ("Declined?", True, False),
        ("Little found?", False, False),
    ]
    assert (found[2].message_id, found[2].relevance) == (little.id, 0.2)
    newest = gaps(db, workspace.id, floor=FLOOR, most=1)
    assert [gap.question for gap in newest] == ["Disliked?", "Declined?"]


def test_what_was_liked_taught_imported_or_broken_off_is_none(db, workspace, ask, judge):
    judge(ask("Liked?", relevance=0.1), rating=1)
    given = judge(ask("Corrected?", relevance=0.1), correction="So it is.")
    ask("Imported?", relevance=0.1, owner="import")
    ask("Broken off?", relevance=0.1, finish_reason="interrupted")
    ask("Another workspace?", relevance=0.1, where=create_workspace(db, "other"))
    assert gaps(db, workspace.id, floor=FLOOR) == []
    reject(db, given.id, reviewer="user:2")
    assert [gap.question for gap in gaps(db, workspace.id, floor=FLOOR)] == ["Corrected?"]


def test_only_the_last_days_count(db, workspace, ask):
    old = ask("Old?", relevance=0.1)
    with write_transaction(db):
        write(db, "update messages set created_at = '2020-01-01T00:00:00Z' where id = ?", old.id)
    assert gaps(db, workspace.id, floor=FLOOR) == []
    assert len(gaps(db, workspace.id, floor=FLOOR, days=100_000)) == 1
