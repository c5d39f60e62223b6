import pytest

from storage.adapters import promote
from storage.conversations import (
    add_message,
    choose_try,
    conversation,
    delete_conversation,
    feedback_of,
    feedback_values,
    finish_message,
    go_back_to,
    list_conversations,
    mark_interrupted,
    message,
    messages_of,
    open_thread,
    other_tries,
    rename_conversation,
    start_conversation,
    thread_to,
)
from storage.database import faults, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.feedback import add_feedback, reject
from storage.records import Inputs, Passage
from storage.workspaces import create_workspace


@pytest.fixture
def talk(db, workspace):
    return start_conversation(db, workspace.id, "user:1")


def test_what_did_the_model_see(db, workspace, talk, candidate):
    """A reply answers: which question, history, passages, instructions, ids, base and adapter."""
    adapter = promote(db, candidate().id, actor="user:1")
    inputs = Inputs(
        "How many?",
        "Be brief.",
        workspace.instructions_version,
        ({"role": "user", "content": "Hello"},),
        (Passage(3, 1, "a.md", "There are 7.", "hash-of-it", 0.5),),
    )
    asked = add_message(db, talk.id, "user", "How many?")
    reply = add_message(
        *(db, talk.id, "assistant", ""),
        parent_id=asked.id,
        inputs=inputs,
        sent_ids=[1, 2, 70_000],
        base_fingerprint="base",
        adapter_id=adapter.id,
        engine="llamacpp",
    )
    finish_message(
        *(db, reply.id),
        content="7",
        finish_reason="stop",
        prompt_tokens=3,
        completion_tokens=1,
        latency_ms=12.5,
        ttft_ms=3.25,
    )
    seen = message(db, reply.id)
    assert (seen.inputs, seen.sent_ids) == (inputs, (1, 2, 70_000))
    assert (seen.base_fingerprint, seen.adapter_id, seen.engine) == ("base", adapter.id, "llamacpp")
    assert (seen.content, seen.finish_reason, seen.parent_id) == ("7", "stop", asked.id)
    assert (seen.prompt_tokens, seen.completion_tokens) == (3, 1)
    assert (seen.latency_ms, seen.ttft_ms) == (12.5, 3.25)


def test_the_tree_keeps_edits_and_second_tries(db, talk):
    question = add_message(db, talk.id, "user", "q")
    first = add_message(db, talk.id, "assistant", "one", parent_id=question.id)
    second = add_message(
        db, talk.id, "assistant", "two", parent_id=question.id, variant_of=first.id
    )
    follow = add_message(db, talk.id, "user", "and?", parent_id=second.id)
    edited = add_message(db, talk.id, "user", "q, edited", variant_of=question.id)
    assert [known.content for known in messages_of(db, talk.id)] == [
        *("q", "one", "two", "and?", "q, edited"),
    ]
    assert thread_to(db, follow.id) == [question, second, follow]
    assert thread_to(db, edited.id) == [edited]


def test_a_parent_of_another_conversation_is_refused(db, workspace, talk):
    other = start_conversation(db, workspace.id, "user:2")
    theirs = add_message(db, other.id, "user", "private")
    with pytest.raises(BadInput, match="not of the conversation"):
        add_message(db, talk.id, "assistant", "x", parent_id=theirs.id)
    with pytest.raises(NotFound, match="no message 'nothing'"):
        add_message(db, talk.id, "assistant", "x", variant_of="nothing")
    with pytest.raises(BadInput, match="'robot' is no role"):
        add_message(db, talk.id, "robot", "x")
    assert messages_of(db, talk.id) == []


def test_each_owner_sees_its_own_in_one_workspace(db, workspace):
    mine = start_conversation(db, workspace.id, "user:1", "first")
    start_conversation(db, workspace.id, "user:11")
    start_conversation(db, create_workspace(db, "other").id, "user:1")
    newer = start_conversation(db, workspace.id, "user:1", "second")
    assert list_conversations(db, workspace.id, "user:1") == [newer, mine]
    assert list_conversations(db, workspace.id, "user:1", limit=1) == [newer]


def test_the_first_question_becomes_the_title(db, talk):
    add_message(db, talk.id, "user", "How  many\norders " + "x" * 100)
    add_message(db, talk.id, "user", "another")
    title = conversation(db, talk.id).title
    assert title.startswith("How many orders xxx")
    assert len(title) == 80
    assert rename_conversation(db, talk.id, "Orders").title == "Orders"


def test_unknown_ones_are_named(db, workspace):
    for ask in (conversation, messages_of, delete_conversation):
        with pytest.raises(NotFound, match="no conversation 'nothing'"):
            ask(db, "nothing")
    for ask in (message, thread_to):
        with pytest.raises(NotFound, match="no message"):
            ask(db, "nothing\ud800")
    with pytest.raises(NotFound, match="no workspace"):
        start_conversation(db, 99, "user:1")


def test_text_that_cannot_be_stored_is_cleaned(db, talk):
    asked = add_message(db, talk.id, "user", "a\0b \ud800")
    assert message(db, asked.id).content == "ab \ufffd"
    finish_message(db, asked.id, content="\0x", finish_reason="stop")
    assert message(db, asked.id).content == "x"


def test_replies_that_were_streaming_when_the_server_died_are_marked(db, talk):
    asked = add_message(db, talk.id, "user", "q")
    cut = add_message(db, talk.id, "assistant", "half of")
    whole = add_message(db, talk.id, "assistant", "all of it", finish_reason="stop")
    assert mark_interrupted(db) == 1
    reasons = [message(db, known.id).finish_reason for known in (asked, cut, whole)]
    assert reasons == [None, "interrupted", "stop"]
    assert mark_interrupted(db) == 0


def test_the_newest_feedback_by_message(db, reply_to):
    reply = reply_to("q")
    given = {"message_id": reply.id, "origin": "staff", "contributor": "user:1"}
    add_feedback(db, **given, rating=1)
    newer = add_feedback(db, **given, rating=-1, comment="no")
    assert feedback_values(db, reply.conversation_id) == {reply.id: newer}
    assert feedback_of(db, reply.conversation_id)[-1] == newer
    assert len(feedback_of(db, reply.conversation_id)) == 2


def test_deleting_takes_messages_and_feedback(db, reply_to):
    reply = reply_to("q")
    add_feedback(db, message_id=reply.id, origin="staff", contributor="user:1", rating=1)
    delete_conversation(db, reply.conversation_id)
    with pytest.raises(NotFound):
        message(db, reply.id)
    assert faults(db) == []


def test_one_that_taught_something_is_not_simply_deleted(db, corrected):
    given = corrected("q", "a", yes=True)
    talk_id = message(db, given.message_id).conversation_id
    with pytest.raises(Refused, match="learns from.*erase"):
        delete_conversation(db, talk_id)
    reject(db, given.id, reviewer="user:2")
    delete_conversation(db, talk_id)


def test_a_very_long_thread_is_read_and_deleted(db, talk):
    """A cascade down the thread itself would be too deep for SQLite (1000)."""
    parent = None
    with write_transaction(db):
        for number in range(1200):
            parent = add_message(db, talk.id, "user", str(number), parent_id=parent).id
    assert len(thread_to(db, parent)) == 1200
    delete_conversation(db, talk.id)
    assert faults(db) == []


def test_a_conversation_is_found_by_its_title_and_by_what_was_said(db, workspace, talk):
    add_message(db, talk.id, "user", "How many Orders?")
    add_message(db, talk.id, "assistant", "100% of them_all!")

    def found(holding: str, owner: str = talk.owner) -> int:
        return len(list_conversations(db, workspace.id, owner, holding=holding))

    assert [found(text) for text in ("", "  orders ", "100%", "m_a", "all!")] == [1] * 5
    assert [found(text) for text in ("1%0", "thema", "pumps", "%")] == [0, 0, 0, 1]
    assert found("orders", "user:99") == 0


def test_a_name_is_cut_and_is_never_empty(db, talk):
    assert rename_conversation(db, talk.id, " a\n b " + "x" * 100).title == "a b " + "x" * 76
    with pytest.raises(BadInput, match="name is empty"):
        rename_conversation(db, talk.id, " \n ")


def test_the_newest_branch_is_shown_until_another_is_chosen_and_goes_on_from_there(db, talk):
    asked = add_message(db, talk.id, "user", "q")
    assert open_thread(db, talk.id) == [asked]
    first = add_message(db, talk.id, "assistant", "one", parent_id=asked.id)
    after = add_message(db, talk.id, "user", "and?", parent_id=first.id)
    second = add_message(db, talk.id, "assistant", "two", parent_id=asked.id, variant_of=first.id)
    edited = add_message(db, talk.id, "user", "Q", variant_of=asked.id)
    assert other_tries(db, first.id) == other_tries(db, second.id) == [first, second]
    assert other_tries(db, asked.id) == [asked, edited]
    assert open_thread(db, talk.id) == [edited]
    choose_try(db, first.id)
    assert open_thread(db, talk.id) == [asked, first, after]
    choose_try(db, second.id)
    assert open_thread(db, talk.id) == [asked, second]
    newest = add_message(db, talk.id, "user", "or?", parent_id=second.id)
    assert open_thread(db, talk.id) == [asked, second, newest]
    delete_conversation(db, talk.id)
    assert faults(db) == []


def test_a_turn_that_was_taken_back_is_kept_and_the_rest_goes_on(db, talk):
    asked = add_message(db, talk.id, "user", "q")
    reply = add_message(db, talk.id, "assistant", "one", parent_id=asked.id)
    again = add_message(db, talk.id, "user", "and?", parent_id=reply.id)
    last = add_message(db, talk.id, "assistant", "two", parent_id=again.id)
    go_back_to(db, reply.id)
    assert open_thread(db, talk.id) == [asked, reply]
    other = add_message(db, talk.id, "user", "or?", parent_id=reply.id)
    assert open_thread(db, talk.id) == [asked, reply, other]
    assert other_tries(db, other.id) == [again, other]
    choose_try(db, again.id)
    assert open_thread(db, talk.id) == [asked, reply, again, last]
    with pytest.raises(NotFound):
        go_back_to(db, "unknown")
