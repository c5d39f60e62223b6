"""A reviewer's reasons stand beside the contributor's, and feedback is found by either."""

import pytest

from storage.audit import list_audit
from storage.errors import NotFound
from storage.feedback import add_feedback, list_feedback
from storage.review_reasons import set_review_reasons


@pytest.fixture
def given(db, workspace, reply_to):
    def give(question, *reasons):
        return add_feedback(
            db,
            message_id=reply_to(question).id,
            origin="staff",
            contributor="user:1",
            rating=-1,
            reasons=reasons,
        )

    return give


def test_they_are_kept_beside_the_contributors_and_audited_once(db, given):
    item = given("One?", "Wrong")
    for _ in range(2):
        set_review_reasons(db, item.id, ["Wrong tone", "Wrong tone"], reviewer="user:2")
    (known,) = list_feedback(db, item.workspace_id)
    assert (known.reasons, known.review_reasons) == (("Wrong",), ("Wrong tone",))
    acts = [one for one in list_audit(db, 9) if one.action == "feedback reasons set"]
    assert [(one.actor, one.subject) for one in acts] == [("user:2", f"feedback:{item.id}")]
    assert set_review_reasons(db, item.id, [], reviewer="user:2").review_reasons == ()
    with pytest.raises(NotFound):
        set_review_reasons(db, 99, [], reviewer="user:2")


def test_feedback_is_found_by_a_reason_of_anybody(db, given):
    theirs, ours = given("One?", "Wrong"), given("Two?", "Wrong tone")
    set_review_reasons(db, ours.id, ["Wrong"], reviewer="user:2")
    where = theirs.workspace_id

    def found(reason):
        return [item.id for item in list_feedback(db, where, reason=reason)]

    assert found("Wrong") == [ours.id, theirs.id]
    assert found("Wrong tone") == [ours.id]
    assert found("tone") == found('"') == []
