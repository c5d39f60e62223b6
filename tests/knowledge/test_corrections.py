from collections.abc import Callable

import pytest

from knowledge.corrections import (
    corrections_collection,
    nearest_examples,
    sync_corrections,
)
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.duplicates import leave_duplicates, put_duplicate
from storage.feedback import add_feedback, approve, reject
from storage.records import Inputs
from storage.workspaces import create_workspace

SALES = "How many pumps were sold in May?"
CLOSED = "List the closed orders of last month."
TONE = "Write a friendly reply to an angry customer."


@pytest.fixture
def correct(db, workspace) -> Callable[..., int]:
    """`correct(question, correction)`: the id of approved feedback."""

    def save(question: str, correction: str, group: str = "", workspace_id: int = workspace.id):
        talk = start_conversation(db, workspace_id, "user:1")
        asked = add_message(db, talk.id, "user", question)
        said = add_message(
            db,
            talk.id,
            "assistant",
            "I do not know.",
            parent_id=asked.id,
            inputs=Inputs(question, "", 1),
        )
        given = add_feedback(
            db, message_id=said.id, origin="staff", contributor="user:1", correction=correction
        )
        approve(db, given.id, reviewer="user:1", group=group or None)
        return given.id

    return save


@pytest.fixture
def near(db, index, embedder, workspace) -> Callable[..., list]:
    """`near(question)`: the examples for it, two at most unless said otherwise."""

    def find(question: str, **given):
        given = {"limit": 2, "budget": 200, "count_tokens": embedder.count_tokens} | given
        found = nearest_examples(db, index, embedder, workspace.id, question, **given)
        return [example for example, _ in found]

    return find


def test_the_nearest_stand_last(correct, near):
    correct(TONE, "Dear customer, ...")
    sales, closed = correct(SALES, "select 1;"), correct(CLOSED, "select 2;")
    found = near("Which orders were closed in the past month?")
    assert [example.feedback_id for example in found] == [sales, closed]
    assert (found[-1].question, found[-1].answer) == (CLOSED, "select 2;")


def test_behind_many_that_are_too_long_the_next_that_fits_is_found(correct, near):
    for number in range(20):
        correct(CLOSED + "?" * number, "select " + "x, " * 300 + f"{number}")
    short = correct(TONE, "Dear customer, ...")
    assert [example.feedback_id for example in near(CLOSED)] == [short]


def test_limit_and_budget(correct, near, embedder):
    long = correct(CLOSED, "select " + "x, " * 300)
    short = correct("List the orders that are closed.", "select 2;")
    assert [example.feedback_id for example in near(CLOSED)] == [short]
    assert [example.feedback_id for example in near(CLOSED, budget=2000)] == [short, long]
    assert [example.feedback_id for example in near(CLOSED, budget=2000, limit=1)] == [long]
    for nothing in ({"limit": 0}, {"budget": 0}):
        assert near(CLOSED, **nothing) == []
    assert near(" ") == []


def test_groups_and_ids_can_be_left_out(correct, near):
    a = correct(CLOSED, "select 1;", group="closed")
    b = correct("Show closed orders.", "select 2;", group="closed")
    c = correct(SALES, "select 3;", group="sales")
    asked = {"limit": 9}
    assert {example.feedback_id for example in near(CLOSED, **asked)} == {a, b, c}
    without = near(CLOSED, leave_out_groups={"closed"}, **asked)
    assert [example.feedback_id for example in without] == [c]
    only = near(CLOSED, only_feedback_ids={b, c}, **asked)
    assert [example.feedback_id for example in only] == [c, b]
    assert near(CLOSED, only_feedback_ids=set(), **asked) == []


def test_the_index_follows_approval_rejection_and_new_wording(
    db, correct, near, index, embedder, workspace
):
    first, second = correct(CLOSED, "select 1;"), correct(SALES, "select 2;")
    collection = corrections_collection(workspace.id, embedder)
    assert index.hashes(collection) == {}
    near(CLOSED)
    before = index.hashes(collection)
    assert set(before) == {first, second}
    reject(db, first, reviewer="user:1")
    assert [example.feedback_id for example in near(CLOSED)] == [second]
    assert set(index.hashes(collection)) == {second}
    approve(db, first, reviewer="user:1", correction="select 3;")
    assert near(CLOSED)[-1].answer == "select 3;"
    assert index.hashes(collection) == before


def test_only_what_has_changed_is_looked_at_again(db, correct, near, index, embedder, workspace):
    first, second = correct(CLOSED, "select 1;"), correct(SALES, "select 2;")
    collection = corrections_collection(workspace.id, embedder)
    assert sync_corrections(db, index, embedder, workspace.id) == 2
    index.delete(collection, [first])  # behind its back
    assert sync_corrections(db, index, embedder, workspace.id) == 0
    newer = correct(SALES, "select 3;")
    assert sync_corrections(db, index, embedder, workspace.id) == 1
    assert set(index.hashes(collection)) == {newer}, "the newest correction of a question counts"
    reject(db, newer, reviewer="user:1")
    assert sync_corrections(db, index, embedder, workspace.id) == 1
    assert set(index.hashes(collection)) == {second}
    put_duplicate(db, second, correct(TONE, "select 2;"))
    sync_corrections(db, index, embedder, workspace.id)
    assert second not in index.hashes(collection)
    leave_duplicates(db, second)
    with write_transaction(db):
        write(db, "delete from feedback where id = ?", first)
    sync_corrections(db, index, embedder, workspace.id)
    assert second in index.hashes(collection)
    assert [one.feedback_id for one in near(SALES, limit=1)] == [second]


def test_a_lost_index_is_filled_again(correct, near, index, embedder, workspace):
    correct(CLOSED, "select 1;")
    before = near(CLOSED)
    index.drop(corrections_collection(workspace.id, embedder))
    assert near(CLOSED) == before != []


def test_a_vector_of_another_text_is_replaced(correct, near, index, embedder, workspace):
    closed, sales = correct(CLOSED, "select 1;"), correct(SALES, "select 2;")
    near(CLOSED)
    collection = corrections_collection(workspace.id, embedder)
    index.upsert(collection, [sales], embedder.embed([CLOSED]), ["hash of another text"])
    index.reached.clear()  # as when it is opened
    assert near(CLOSED)[-1].feedback_id == closed
    assert near(SALES)[-1].feedback_id == sales


def test_another_workspaces_corrections_never_come(db, correct, near):
    other = create_workspace(db, "other").id
    correct(CLOSED, "secret", workspace_id=other)
    assert near(CLOSED) == []
