"""What approved feedback teaches: corrections, preferred replies, thumbs."""

import pytest

from storage import pairs
from storage.conversations import add_message, message
from storage.errors import BadInput
from storage.feedback import add_feedback, approve, list_feedback, reject
from storage.overrides import normalise, override_for
from storage.pairs import (
    approved_pairs,
    approved_preferences,
    approved_thumbs,
    each_pair,
    pair_groups,
    pair_ids,
    thumbs_to_review,
    wordings,
)
from storage.records import Inputs

STAFF = {"origin": "staff", "contributor": "user:1"}


@pytest.fixture
def judged(db):
    """`judged(reply, 1)`: a thumb on it, approved unless `yes=False`."""

    def build(reply, rating, *, yes=True):
        given = add_feedback(db, message_id=reply.id, **STAFF, rating=rating)
        return approve(db, given.id, reviewer="user:2") if yes else given

    return build


@pytest.fixture
def again(db):
    """`again(reply, text)`: another answer to the same message."""

    def build(reply, text, **fields):
        known = {"inputs": reply.inputs, "finish_reason": "stop", "variant_of": reply.id} | fields
        return add_message(
            db, reply.conversation_id, "assistant", text, parent_id=reply.parent_id, **known
        )

    return build


def test_a_thumb_is_approved_as_it_stands(db, workspace, reply_to, judged):
    up, down = reply_to("q", "good"), reply_to("r", "bad", finish_reason="length")
    first, second = judged(up, 1), judged(down, -1)
    assert (first.status, first.correction, first.approved_correction) == ("approved", None, None)
    assert [
        (t.feedback_id, t.answer, t.up, t.whole) for t in approved_thumbs(db, workspace.id)
    ] == [(first.id, "good", True, True), (second.id, "bad", False, False)]
    assert approved_thumbs(db, workspace.id)[0].inputs == up.inputs
    assert approved_pairs(db, workspace.id) == []
    assert override_for(db, workspace.id, "q") is None
    assert list_feedback(db, workspace.id, status="approved")[0].approved_correction is None


def test_only_approved_thumbs_count(db, workspace, reply_to, judged):
    judged(reply_to("q", "good"), 1, yes=False)
    gone = judged(reply_to("r", "good"), 1)
    assert thumbs_to_review(db, workspace.id) == 1
    reject(db, gone.id, reviewer="user:2")
    assert approved_thumbs(db, workspace.id) == []
    assert thumbs_to_review(db, workspace.id) == 1


def test_the_newest_approval_of_one_reply_counts(db, workspace, reply_to, judged):
    reply = reply_to("q", "so so")
    first, second = judged(reply, 1), judged(reply, -1)
    assert [thumb.up for thumb in approved_thumbs(db, workspace.id)] == [False]
    reject(db, second.id, reviewer="user:2")
    assert [thumb.feedback_id for thumb in approved_thumbs(db, workspace.id)] == [first.id]


def test_a_correction_says_more_than_a_thumb(db, workspace, reply_to, corrected, judged):
    reply = reply_to("q", "wrong")
    judged(reply, 1)
    given = add_feedback(db, message_id=reply.id, **STAFF, correction="right")
    approve(db, given.id, reviewer="user:2")
    judged(reply_to("q", "right"), -1)
    kept = judged(reply_to("other", "right"), -1)
    assert [thumb.feedback_id for thumb in approved_thumbs(db, workspace.id)] == [kept.id]


def test_a_thumb_becomes_a_pair_when_its_reviewer_writes_the_answer(db, workspace, reply_to):
    given = add_feedback(db, message_id=reply_to("q", "bad").id, **STAFF, rating=-1)
    approve(db, given.id, reviewer="user:2", correction="good")
    assert approved_thumbs(db, workspace.id) == []
    assert approved_pairs(db, workspace.id)[0].chosen == "good"
    approve(db, given.id, reviewer="user:2")
    assert approved_pairs(db, workspace.id) == []
    assert override_for(db, workspace.id, "q") is None
    assert len(approved_thumbs(db, workspace.id)) == 1


@pytest.mark.parametrize(
    ("answer", "fields", "said"),
    [
        ("x", {"inputs": None}, "without what it was made from"),
        ("x", {"finish_reason": "interrupted"}, "broken off"),
        ("x", {"finish_reason": "override"}, "an approved correction already"),
        (" ", {}, "empty"),
    ],
)
def test_a_reply_that_teaches_nothing_is_named(db, reply_to, judged, answer, fields, said):
    with pytest.raises(BadInput, match=said):
        judged(reply_to("q", answer, **fields), 1)


def test_a_bare_comment_cannot_be_approved(db, reply_to):
    given = add_feedback(db, message_id=reply_to("q").id, **STAFF, comment="hm")
    with pytest.raises(BadInput, match="no correction and no thumb"):
        approve(db, given.id, reviewer="user:2")


@pytest.mark.parametrize("rating", [float("nan"), 0, 2, "1"])
def test_a_rating_is_one_of_two(db, reply_to, rating):
    with pytest.raises(BadInput, match="is no rating"):
        add_feedback(db, message_id=reply_to("q").id, **STAFF, rating=rating)


def test_a_reply_liked_better_than_the_one_before_it_is_a_pair(
    db, workspace, reply_to, judged, again
):
    first = reply_to("q", "dull")
    second = again(first, "bright")
    assert approved_preferences(db, workspace.id) == []
    liked = judged(second, 1)
    (pair,) = approved_preferences(db, workspace.id)
    assert (pair.feedback_id, pair.chosen, pair.rejected) == (liked.id, "bright", "dull")
    assert pair.inputs == message(db, second.id).inputs


def test_the_disliked_one_is_rejected_before_the_others(db, workspace, reply_to, judged, again):
    first = reply_to("q", "one")
    second = again(first, "two")
    third = again(second, "three")
    judged(third, 1)
    assert approved_preferences(db, workspace.id)[0].rejected == "two"
    judged(first, -1)
    assert approved_preferences(db, workspace.id)[0].rejected == "one"


@pytest.mark.parametrize("status", ["new", "approved"])
def test_what_is_liked_too_is_no_wrong_answer(db, workspace, reply_to, judged, again, status):
    first = reply_to("q", "one")
    judged(first, 1, yes=status == "approved")
    judged(again(first, "two"), 1)
    assert approved_preferences(db, workspace.id) == []


@pytest.mark.parametrize(
    ("text", "fields"),
    [("same", {}), ("", {}), ("x", {"finish_reason": "override"}), ("x", {"finish_reason": None})],
)
def test_a_sibling_that_cannot_be_wrong(db, workspace, reply_to, judged, again, text, fields):
    first = reply_to("q", text, **fields)
    judged(again(first, "same"), 1)
    assert approved_preferences(db, workspace.id) == []


def test_where_there_is_a_correction_the_preference_is_left_out(
    db, workspace, reply_to, corrected, judged, again
):
    judged(again(reply_to("q", "one"), "two"), 1)
    corrected("Q?", "three", yes=True)
    assert approved_preferences(db, workspace.id) == []


def test_each_workspace_has_its_own(db, workspace, reply_to, judged):
    from storage.workspaces import create_workspace

    other = create_workspace(db, "other")
    judged(reply_to("q", "good", workspace_id=other.id), 1)
    assert approved_thumbs(db, workspace.id) == []
    assert len(approved_thumbs(db, other.id)) == 1


def test_inputs_come_back_whole(db, workspace, reply_to, judged):
    history = ({"role": "user", "content": "before"},)
    judged(reply_to("q", "good", history=history), 1)
    (thumb,) = approved_thumbs(db, workspace.id)
    assert thumb.inputs == Inputs("q", "Be brief.", 1, history)


@pytest.fixture
def several(db, workspace, corrected):
    """Nine approved corrections of five questions, one of them a duplicate; ids of the pairs."""
    asked = ["a", "b", "a", "c?", "A!", "d", "b", "e", "f"]
    made = [corrected(question, f"{place}") for place, question in enumerate(asked)]
    for place, one in enumerate(made):
        approve(db, one.id, reviewer="user:2", group=f"need {place % 2}")
    approve(db, made[-1].id, reviewer="user:2", same_as=made[-2].id)
    newest = {normalise(one.question): one.id for one in made[:-1]}
    return sorted(newest.values())


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_pairs_come_page_by_page(db, workspace, several, monkeypatch, page):
    monkeypatch.setattr(pairs, "PAGE", page)
    found = list(each_pair(db, workspace.id))
    assert [pair.feedback_id for pair in found] == several
    assert found == approved_pairs(db, workspace.id)
    backwards = [*several[::-1], 99]
    assert list(each_pair(db, workspace.id, backwards)) == found[::-1]
    assert [(one.feedback_id, one.group, one.question) for one in wordings(db, workspace.id)] == [
        (pair.feedback_id, pair.group, normalise(pair.inputs.question)) for pair in found
    ]


def test_a_question_is_as_old_as_its_first_correction(db, workspace, several):
    first = {one.question: one.first_id for one in wordings(db, workspace.id)}
    assert first == {"a": 1, "b": 2, "c": 4, "d": 6, "e": 8}
    reject(db, 1, reviewer="user:2")
    assert {one.question: one.first_id for one in wordings(db, workspace.id)} == first


def test_needs_and_their_pairs(db, workspace, several):
    assert pair_groups(db, workspace.id) == ["need 0", "need 1"]
    assert pair_ids(db, workspace.id) == set(several)
    odd = pair_ids(db, workspace.id, ["need 1", "none"])
    assert odd == {
        pair.feedback_id for pair in each_pair(db, workspace.id) if pair.group[-1] == "1"
    }
    assert pair_ids(db, workspace.id, []) == frozenset()
