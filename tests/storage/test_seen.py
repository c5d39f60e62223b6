"""The mark of a row as somebody saw it."""

from storage.feedback import approve, feedback, reject
from storage.review_reasons import set_review_reasons
from storage.seen import approved_by, mark_of, reviewer_name
from storage.users import create_user


def test_it_changes_with_every_decision_and_with_nothing_else(db, corrected):
    row = corrected("How long?", "45 days.")
    assert mark_of(row) == mark_of(feedback(db, row.id))
    assert mark_of(corrected("How long?", "45 days.")) != mark_of(row), "another row"
    ticked = set_review_reasons(db, row.id, ["Wrong"], reviewer="user:1")
    assert mark_of(ticked) == mark_of(row), "why it was wrong decides nothing"
    decided = [
        approve(db, row.id, reviewer="user:1"),
        approve(db, row.id, reviewer="user:1", correction="50 days."),
        reject(db, row.id, reviewer="user:2"),
        approve(db, row.id, reviewer="user:1"),
    ]
    assert len({mark_of(one) for one in (row, *decided)}) == 5


def test_names_are_those_of_users(db, corrected):
    ann = create_user(db, "ann", "x", "reviewer")
    row = approve(db, corrected("How long?", "45 days.").id, reviewer=f"user:{ann.id}")
    assert approved_by(db, row) == ["ann"]
    assert approved_by(db, reject(db, row.id, reviewer="user:99")) == []
    named = [reviewer_name(db, one) for one in ("user:99", "user:x", "cli:bo", "south/user:1")]
    assert named == ["a deleted user", "a deleted user", "cli:bo", "south/user:1"]
