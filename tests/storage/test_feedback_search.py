"""Feedback by its words: where they may stand, and how far is looked."""

import pytest

from storage.errors import BadInput
from storage.feedback import add_feedback, approve, reject
from storage.feedback_search import search_feedback
from storage.review_reasons import set_review_reasons


@pytest.fixture
def given(db, workspace, reply_to):
    def give(question, **more):
        reply = reply_to(question)
        return add_feedback(
            db,
            message_id=reply.id,
            origin="staff",
            contributor="user:1",
            **(more or {"rating": -1}),
        )

    return give


def found(db, workspace, words, **more):
    return [item.id for item in search_feedback(db, workspace.id, words, **more).items]


def test_each_word_stands_anywhere_and_in_any_case(db, workspace, given):
    asked = given("When do herons NEST in Über-Lingen?")
    taught = given("Where?", correction="The heron nests at the quay.")
    said = given("Why?", comment="Ask the HERON.", rating=-1)
    given("How long may goods be returned?")
    assert found(db, workspace, "heron") == [said.id, taught.id, asked.id]
    assert found(db, workspace, "nest heron") == [taught.id, asked.id]
    assert found(db, workspace, "über-LINGEN") == [asked.id]
    assert found(db, workspace, "heron quay returned") == []
    assert found(db, workspace, "100%") == found(db, workspace, "_") == []
    approve(db, taught.id, reviewer="user:2", correction="At the harbour.")
    assert found(db, workspace, "harbour") == [taught.id]


def test_what_was_said_is_looked_through_too(db, workspace, given):
    answer = given("Where?").answer
    assert answer.split() and len(found(db, workspace, answer)) == 1


def test_with_the_other_filters_and_page_by_page(db, workspace, given):
    ids = [given(f"Heron {number}?").id for number in range(5)]
    reject(db, ids[3], reviewer="user:2")
    set_review_reasons(db, ids[1], ["Wrong tone"], reviewer="user:2")
    assert found(db, workspace, "heron", status="new", limit=2) == [ids[4], ids[2]]
    assert found(db, workspace, "heron", status="new", before_id=ids[2]) == [ids[1], ids[0]]
    assert found(db, workspace, "heron", status="rejected") == [ids[3]]
    assert found(db, workspace, "heron", reason="Wrong tone") == [ids[1]]
    with pytest.raises(BadInput, match="no status"):
        search_feedback(db, workspace.id, "heron", status="old")


def test_it_says_how_far_it_looked_and_goes_on_from_there(db, workspace, given):
    oldest = given("Heron?").id
    rest = [given(f"Gull {number}?").id for number in range(6)]
    near = search_feedback(db, workspace.id, "heron", look=4)
    assert (near.items, near.looked_at, near.looked_to) == ([], 4, rest[2])
    further = search_feedback(db, workspace.id, "heron", look=4, before_id=near.looked_to)
    assert [item.id for item in further.items] == [oldest]
    assert (further.looked_at, further.looked_to) == (3, None)
    whole = search_feedback(db, workspace.id, "heron", look=None)
    assert (len(whole.items), whole.looked_to) == (1, None)
    # full: it did not look behind the last one
    assert search_feedback(db, workspace.id, "gull", limit=2).looked_to == rest[-2]


def test_fewer_rows_are_looked_through_where_they_are_long(db, workspace, given):
    for _ in range(4):
        given("Long?", correction="x" * 4000)
    assert search_feedback(db, workspace.id, "heron", look=6).looked_at == 2  # 6000 characters
