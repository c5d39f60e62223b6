"""Which of several that say the same trains, and who takes its place."""

import pytest

from storage.duplicates import put_duplicate
from storage.feedback import approve, feedback, reject
from storage.overrides import override_for
from storage.pairs import approved_pairs, pair_questions, rivals


@pytest.fixture
def three(corrected):
    """Three wordings with one answer; the last two are duplicates of the first."""
    made = [corrected(text, "a") for text in ("q one", "q one more", "q ones")]
    return [item.id for item in made]


@pytest.fixture
def merged(db, three):
    approve(db, three[0], reviewer="u")
    for other in three[1:]:
        approve(db, other, reviewer="u", same_as=three[0])
    return three


def taught(db, workspace):
    return [pair.feedback_id for pair in approved_pairs(db, workspace.id)]


def heads(db, ids):
    return [feedback(db, id).same_as for id in ids]


def test_one_trains_and_all_answer(db, workspace, merged):
    assert taught(db, workspace) == merged[:1] == list(pair_questions(db, workspace.id))
    assert heads(db, merged) == [None, merged[0], merged[0]]
    assert override_for(db, workspace.id, "q ones").answer == "a"


def test_approving_it_again_leaves_them_merged(db, workspace, merged):
    approve(db, merged[0], reviewer="u", group="new")
    assert taught(db, workspace) == merged[:1]


@pytest.mark.parametrize("edited", [True, False])
def test_when_it_goes_the_oldest_takes_its_place(db, workspace, merged, edited):
    if edited:
        approve(db, merged[0], reviewer="u", correction="b")
    else:
        reject(db, merged[0], reviewer="u")
    assert heads(db, merged) == [None, None, merged[1]]
    assert merged[1] in taught(db, workspace) and merged[2] not in taught(db, workspace)


def test_a_duplicate_that_is_worded_anew_is_a_pair(db, workspace, merged):
    approve(db, merged[2], reviewer="u", correction="b")
    assert taught(db, workspace) == [merged[0], merged[2]]
    assert heads(db, merged) == [None, merged[0], None]


def test_only_what_trains_can_stand_for_others(db, three):
    approve(db, three[0], reviewer="u")
    approve(db, three[1], reviewer="u", same_as=three[2])
    assert heads(db, three) == [None, None, None]


def test_duplicates_of_a_duplicate_follow_it(db, workspace, corrected, merged):
    other = corrected("q uno", "a", yes=True)
    approve(db, merged[0], reviewer="u", same_as=other.id)
    assert heads(db, merged) == [other.id] * 3
    assert taught(db, workspace) == [other.id]


def test_when_its_row_is_gone_each_stands_for_itself(db, workspace, merged):
    with db.conn:
        db.conn.execute("delete from feedback where id = ?", [merged[0]])
    assert taught(db, workspace) == merged[1:]


def test_rivals_are_pairs_with_the_same_history(db, corrected):
    said = [{"role": "user", "content": "before"}]
    first = corrected("q?", "a", yes=True)
    elsewhere = corrected("q", "b", yes=True, history=said)
    near = corrected("quite near", "c", yes=True)
    corrected("far", "d", yes=True)
    new = corrected("Q", "e")
    found = rivals(db, new.id, [near.id, elsewhere.id])
    assert [(one.feedback_id, one.same_question) for one in found] == [
        (first.id, True),
        (near.id, False),
    ]
    put_duplicate(db, first.id, first.id)
    assert rivals(db, first.id) == []
