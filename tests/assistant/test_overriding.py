"""Which approved correction answers at once, which one waits, and which is none of its business."""

import pytest

from assistant.overriding import ON_HOLD, SERVED, find_override, on_hold, read_overrides
from storage.conversations import add_message, start_conversation
from storage.documents import chunks_of, put_document
from storage.feedback import add_feedback, approve
from storage.overrides import list_overrides, retire, unread_overrides
from storage.records import Inputs, Passage
from storage.stale import keep
from storage.workspaces import create_workspace


@pytest.fixture
def approved(db, workspace):
    """`approved(question, answer)`: the override of a correction that was approved."""

    def build(question, answer, *, history=(), passages=(), where=workspace):
        talk = start_conversation(db, where.id, "user:1")
        asked = add_message(db, talk.id, "user", question)
        inputs = Inputs(question, "", 1, tuple(history), tuple(passages))
        reply = add_message(
            db, talk.id, "assistant", "?", inputs=inputs, finish_reason="stop", parent_id=asked.id
        )
        given = add_feedback(
            db, message_id=reply.id, origin="staff", contributor="user:1", correction=answer
        )
        approve(db, given.id, reviewer="user:2")
        (made,) = [one for one in list_overrides(db, where.id) if one.feedback_id == given.id]
        return made

    return build


def found(db, workspace, question, history=()):
    override, said = find_override(db, workspace, question, history)
    return (override.answer if override else None), said


def test_the_very_question_and_the_same_one_in_other_words(db, workspace, approved):
    approved("How many orders did we ship in May?", "41")
    assert found(db, workspace, "how many orders did we ship in May") == ("41", (SERVED,))
    assert found(db, workspace, "What is the number of orders that we shipped in May?") == (
        "41",
        (SERVED, "It was approved for “How many orders did we ship in May?”"),
    )


@pytest.mark.parametrize(
    "near",
    [
        "How many orders did we ship in June?",
        "How many orders did we not ship in May?",
        "How many orders will we ship in May?",
        "Which orders did we ship in May?",
    ],
)
def test_a_near_question_is_another_one(db, workspace, approved, near):
    approved("How many orders did we ship in May?", "41")
    assert found(db, workspace, near) == (None, ())


def test_what_hangs_on_a_history_is_answered_after_that_one_alone(db, workspace, approved):
    before = [{"role": "user", "content": "Orders in May?"}, {"role": "assistant", "content": "41"}]
    approved("And how many last month?", "39", history=before)
    assert found(db, workspace, "And how many last month?", before)[0] == "39"
    assert found(db, workspace, "And how many last month?")[0] is None


def test_what_is_corrected_later_in_a_conversation_answers_elsewhere(db, workspace, approved):
    asked = [
        {"role": "user", "content": "Is a bench free?"},
        {"role": "assistant", "content": "no"},
    ]
    said = [{"role": "user", "content": "I am in Leeds."}, {"role": "assistant", "content": "Ah."}]
    approved("How many tools are free?", "3", history=asked)
    approved("How many rooms are free?", "8", history=said)
    assert found(db, workspace, "How many free tools are there?")[0] == "3"
    assert found(db, workspace, "How many tools are free?")[0] == "3"
    assert found(db, workspace, "How many rooms are free?")[0] is None  # those in Leeds, perhaps
    assert found(db, workspace, "How many rooms are free?", said)[0] == "8"


def test_in_a_conversation_what_nothing_before_can_change(db, workspace, approved):
    approved("How many tools are free?", "3")
    said = [{"role": "user", "content": "Orders in May?"}, {"role": "assistant", "content": "41"}]
    asked = [
        {"role": "user", "content": "Is a bench free?"},
        {"role": "assistant", "content": "no"},
    ]
    for question in ("How many tools are free?", "How many free tools are there?"):
        assert found(db, workspace, question, asked)[0] == "3"
        assert found(db, workspace, question, said)[0] is None  # those of May, perhaps
    assert found(db, workspace, "How many of them are free?", asked)[0] is None


def test_the_newest_of_two_wordings_answers_a_third(db, workspace, approved):
    approved("When does the night shift start?", "at nine")
    approved("At what time does the night shift start?", "at ten")
    assert found(db, workspace, "What time does the night shift begin?")[0] == "at ten"
    assert found(db, workspace, "When does the night shift start?")[0] == "at nine"


def test_a_retired_one_and_that_of_another_workspace_do_not_answer(db, workspace, approved):
    other = create_workspace(db, "other")
    approved("What does a day ticket cost?", "12 euros", where=other)
    mine = approved("How much is a week ticket?", "50 euros")
    assert found(db, workspace, "How much is a day ticket?") == (None, ())
    assert found(db, workspace, "What does a week ticket cost?")[0] == "50 euros"
    retire(db, mine.id, actor="user:1")
    assert found(db, workspace, "What does a week ticket cost?") == (None, ())


def test_one_whose_document_changed_waits_until_a_person_has_looked(db, workspace, approved):
    def put(text):
        document = put_document(
            db,
            workspace.id,
            name="returns.md",
            hash=text,
            media_type="text/markdown",
            chunks=[("Returns", text)],
        )
        return document, chunks_of(db, document.id)[0]

    document, chunk = put("Goods may be returned within 30 days.")
    text = f"Returns\n{chunk.text}"
    passage = Passage(chunk.id, document.id, "returns.md", text, chunk.hash, 0.1)
    made = approved("How long can I return goods?", "30 days", passages=[passage])
    assert found(db, workspace, "For how long can I return goods?")[0] == "30 days"
    put("Goods may be returned within 45 days.")
    assert on_hold(db, made)
    assert found(db, workspace, "How long can I return goods?") == (None, (ON_HOLD,))
    assert found(db, workspace, "For how long can I return goods?") == (None, (ON_HOLD,))
    keep(db, made.feedback_id, actor="user:1")
    assert found(db, workspace, "How long can I return goods?")[0] == "30 days"


def test_new_ones_are_read_a_part_at_a_time(db, workspace, approved):
    for number in (2, 3, 4):
        approved(f"How many tools have {number} handles?", str(number))
    assert read_overrides(db, workspace, at_most=2) == 2
    assert len(unread_overrides(db, workspace.id, 10)) == 1
    assert read_overrides(db, workspace) == 1
    assert read_overrides(db, workspace) == 0
    assert found(db, workspace, "What is the number of tools that have three handles?")[0] == "3"


def test_a_question_without_words_finds_nothing(db, workspace, approved):
    approved("?!", "What do you want to know?")
    assert found(db, workspace, "?!")[0] == "What do you want to know?"
    assert found(db, workspace, "…")[0] is None
