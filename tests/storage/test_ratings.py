import pytest

from storage.audit import list_audit
from storage.feedback import add_feedback, approve, feedback, list_feedback
from storage.gaps import gaps
from storage.overview import rated_weeks
from storage.pairs import approved_pairs, approved_thumbs, thumbs_to_review
from storage.ratings import take_back


@pytest.fixture
def judge(db):
    def give(reply, *, by="user:1", **judgement):
        return add_feedback(db, message_id=reply.id, origin="staff", contributor=by, **judgement)

    return give


def test_a_bare_thumb_goes_and_is_counted_nowhere(db, workspace, reply_to, judge):
    reply = reply_to("How long?")
    judge(reply, rating=-1)
    other = judge(reply, rating=-1, by="user:2")
    assert take_back(db, reply.id, "user:1") == 1
    assert list_feedback(db, workspace.id) == [other]
    assert take_back(db, reply.id, "user:2") == 1
    assert take_back(db, reply.id, "user:2") == 0
    assert gaps(db, workspace.id, floor=0.5) == []
    assert thumbs_to_review(db, workspace.id) == 0
    assert sum(week.up + week.down for week in rated_weeks(db, workspace.id)) == 0


def test_what_was_said_beside_it_stays(db, workspace, reply_to, judge):
    reply = reply_to("How long?")
    corrected = judge(reply, rating=-1, correction="45 days.")
    approve(db, corrected.id, reviewer="user:9")
    remarked = judge(reply, rating=-1, comment="Too short.")
    assert take_back(db, reply.id, "user:1") == 2
    assert feedback(db, corrected.id).rating is None
    assert [pair.chosen for pair in approved_pairs(db, workspace.id)] == ["45 days."]
    left = feedback(db, remarked.id)
    assert (left.rating, left.comment, left.status) == (None, "Too short.", "new")


def test_an_approved_thumb_is_trained_on_no_more(db, workspace, reply_to, judge):
    reply = reply_to("How long?", "30 days.")
    given = judge(reply, rating=1)
    approve(db, given.id, reviewer="user:9")
    assert len(approved_thumbs(db, workspace.id)) == 1
    assert take_back(db, reply.id, "user:1") == 1
    assert approved_thumbs(db, workspace.id) == []
    assert feedback(db, given.id).status == "rejected"
    assert list_audit(db)[0].action == "thumb taken back"
