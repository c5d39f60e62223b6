import pytest

from storage.audit import list_audit
from storage.database import one, rows, write_transaction
from storage.documents import put_document, remove_document
from storage.errors import BadInput, NotFound, Refused
from storage.feedback import (
    add_feedback,
    approve,
    count_feedback,
    duplicates_of,
    feedback,
    list_feedback,
    reject,
)
from storage.pairs import approved_pairs, pairs_since_last_round
from storage.records import Pair, Passage
from storage.rounds import create_round, finish_round
from storage.workspaces import create_workspace

STAFF = {"origin": "staff", "contributor": "user:1"}


def test_it_holds_what_was_asked_answered_and_wanted(db, workspace, reply_to):
    reply = reply_to("List the orders?", "select 2")
    given = add_feedback(
        db,
        message_id=reply.id,
        **STAFF,
        rating=-1,
        reasons=["wrong", "too long"],
        comment="no\0t so \ud800",
        correction="select 1",
    )
    assert given == feedback(db, given.id)
    assert (given.question, given.answer) == ("List the orders?", "select 2")
    assert (given.rating, given.reasons) == (-1, ("wrong", "too long"))
    assert (given.comment, given.correction) == ("not so \ufffd", "select 1")
    assert (given.status, given.workspace_id, given.group) == (
        *("new", workspace.id, "list the orders"),
    )
    assert given.approved_correction is given.reviewer is None


def test_what_the_public_sends_waits_in_quarantine(db, workspace, reply_to):
    given = add_feedback(
        db,
        message_id=reply_to("q").id,
        origin="widget",
        contributor="visitor:x",
        correction="spam",
        quarantine=True,
    )
    assert given.status == "quarantined"
    assert approved_pairs(db, workspace.id) == []
    assert count_feedback(db, workspace.id) == {
        **{"quarantined": 1, "new": 0, "approved": 0, "rejected": 0}
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "empty"),
        ({"comment": " \n", "correction": "\t"}, "empty"),
        ({"rating": 0}, "0 is no rating: give 1 or -1"),
        ({"rating": 1, "origin": "web"}, "'web' is no origin: use one of staff"),
        ({"comment": "x" * 100_001}, "100,001 characters long"),
    ],
)
def test_what_says_nothing_is_refused(db, workspace, reply_to, fields, said):
    with pytest.raises(BadInput, match=said):
        add_feedback(db, message_id=reply_to("q").id, **(STAFF | fields))
    assert list_feedback(db, workspace.id) == []


def test_only_a_reply_that_exists_can_be_judged(db, reply_to):
    with pytest.raises(NotFound, match="no message 'nothing'"):
        add_feedback(db, message_id="nothing", **STAFF, rating=1)
    with pytest.raises(BadInput, match="not the assistant's"):
        add_feedback(db, message_id=reply_to("q").parent_id, **STAFF, rating=1)


def test_the_same_key_is_the_same_feedback(db, workspace, reply_to):
    reply = reply_to("q")
    first = add_feedback(db, message_id=reply.id, **STAFF, rating=1, idempotency_key="k")
    again = add_feedback(db, message_id=reply.id, **STAFF, rating=1, idempotency_key="k")
    assert again == first
    assert len(list_feedback(db, workspace.id)) == 1
    # no way to read another one's row by its key
    others = ({"message_id": reply_to("q").id}, {"contributor": "user:9"}, {"rating": -1})
    for other in (*others, {"comment": "x"}, {"reasons": ["x"]}, {"correction": "x"}):
        fields = {"message_id": reply.id, **STAFF, "rating": 1} | other
        with pytest.raises(Refused, match="'k' was used"):
            add_feedback(db, **fields, idempotency_key="k")
    elsewhere = reply_to("q", workspace_id=create_workspace(db, "other").id)
    given = add_feedback(db, message_id=elsewhere.id, **STAFF, rating=1, idempotency_key="k")
    assert given.id != first.id


def test_pages_by_key(db, workspace, corrected):
    ids = [corrected(f"q{n}", "a", yes=n % 2 == 0).id for n in range(5)]
    first = list_feedback(db, workspace.id, limit=2)
    assert [given.id for given in first] == [ids[4], ids[3]]
    second = list_feedback(db, workspace.id, limit=2, before_id=first[-1].id)
    assert [given.id for given in second] == [ids[2], ids[1]]
    approved = list_feedback(db, workspace.id, status="approved")
    assert [given.id for given in approved] == [ids[4], ids[2], ids[0]]
    assert list_feedback(db, create_workspace(db, "other").id) == []
    with pytest.raises(BadInput, match="'old' is no status"):
        list_feedback(db, workspace.id, status="old")


def test_who_said_so(db, corrected):
    given = corrected("q", "as given")
    known = approve(db, given.id, reviewer="user:2", correction="as edited", group="needs")
    assert (known.contributor, known.reviewer) == ("user:1", "user:2")
    assert (known.correction, known.approved_correction) == ("as given", "as edited")
    assert (known.status, known.group) == ("approved", "needs")
    assert known.reviewed_at >= known.created_at
    entry = list_audit(db, 1)[0]
    assert (entry.actor, entry.action, entry.subject, entry.detail) == (
        *("user:2", "feedback approved", f"feedback:{given.id}", {"was": "new", "edited": True}),
    )


def test_approving_needs_a_correction_and_the_inputs(db, workspace, reply_to):
    bare = add_feedback(db, message_id=reply_to("q").id, **STAFF, comment="no")
    with pytest.raises(BadInput, match="has no correction"):
        approve(db, bare.id, reviewer="user:2")
    assert approve(db, bare.id, reviewer="user:2", correction="a").approved_correction == "a"
    blind = reply_to("q", inputs=None)
    given = add_feedback(db, message_id=blind.id, **STAFF, correction="a")
    assert given.question == "q"
    with pytest.raises(BadInput, match="without what it was made from"):
        approve(db, given.id, reviewer="user:2")
    with pytest.raises(NotFound, match="no feedback 99"):
        approve(db, 99, reviewer="user:2")
    with pytest.raises(NotFound, match="no feedback 99"):
        reject(db, 99, reviewer="user:2")


def test_what_fails_its_check_is_approved_with_a_reason_only(db, corrected):
    given = corrected("q", "a")
    for reason in (None, "  "):
        with pytest.raises(Refused, match="fails its own check .it is not JSON.*despite"):
            approve(db, given.id, reviewer="u", fault="it is not JSON", despite_check=reason)
    assert feedback(db, given.id).status == "new"
    approve(db, given.id, reviewer="u", fault="it is not JSON", despite_check="a draft")
    assert list_audit(db, 1)[0].detail["despite_check"] == "a draft"


def test_a_pair_is_the_correction_with_the_inputs_its_answer_had(
    db, workspace, reply_to, corrected
):
    passage = Passage(1, 1, "a.md", "text", "h", 1.0)
    given = corrected("q", "right", answer="wrong", passages=[passage], yes=True)
    pair = approved_pairs(db, workspace.id)[0]
    assert pair == Pair(given.id, "q", pair.inputs, "right", "wrong")
    assert pair.inputs.passages == (passage,)
    assert pair.inputs.question == "q"


@pytest.mark.parametrize("answer", ["", "right"])
def test_nothing_wrong_was_said_so_nothing_is_rejected(db, workspace, corrected, answer):
    corrected("q", "right", answer=answer, yes=True)
    assert approved_pairs(db, workspace.id)[0].rejected is None


def test_the_newest_approval_of_one_question_counts(db, workspace, corrected):
    history = [{"role": "user", "content": "before"}]
    first = corrected("q", "one", yes=True)
    second = corrected("Q?", "two", yes=True)
    other = corrected("q", "three", history=history, yes=True)
    corrected("q", "unseen")
    assert [pair.feedback_id for pair in approved_pairs(db, workspace.id)] == [second.id, other.id]
    approve(db, first.id, reviewer="user:2")
    assert [pair.chosen for pair in approved_pairs(db, workspace.id)] == ["one", "three"]
    reject(db, first.id, reviewer="user:2")
    assert [pair.chosen for pair in approved_pairs(db, workspace.id)] == ["two", "three"]


def test_rejected_feedback_keeps_its_words_but_teaches_nothing(db, workspace, corrected):
    given = corrected("q", "a", yes=True)
    known = reject(db, given.id, reviewer="user:3")
    assert (known.status, known.correction, known.approved_correction) == ("rejected", "a", None)
    assert approved_pairs(db, workspace.id) == []


def test_pairs_since_the_last_round(db, workspace, corrected):
    assert pairs_since_last_round(db, workspace.id) == 0
    corrected("q1", "a", yes=True)
    corrected("q2", "a", yes=True)
    assert pairs_since_last_round(db, workspace.id) == 2
    begun = create_round(db, workspace.id, config={}, base_fingerprint="b")
    assert pairs_since_last_round(db, workspace.id) == 0, "it is being taught them"
    finish_round(db, begun.id, state="failed")
    assert pairs_since_last_round(db, workspace.id) == 2, "it taught nobody anything"
    begun = create_round(db, workspace.id, config={}, base_fingerprint="b")
    finish_round(db, begun.id, state="done", verdict="reject")
    assert pairs_since_last_round(db, workspace.id) == 0
    corrected("q3", "a", yes=True)
    assert pairs_since_last_round(db, workspace.id) == 1


def test_near_duplicates_are_found(db, corrected):
    first = corrected("List the orders", "Select 1.")
    same = corrected("list the orders?", "select  1")
    corrected("list the orders", "select 2")
    assert [given.id for given in duplicates_of(db, first.id)] == [same.id]


def test_which_feedback_came_from_this_document(db, workspace, corrected):
    document = put_document(
        db, workspace.id, name="a.md", hash="h", media_type="t", chunks=[("", "text")]
    )
    passage = Passage(1, document.id, "a.md", "text", "hash-1", 1.0)
    gone = Passage(2, 999, "b.md", "text", "hash-2", 1.0)
    given = corrected("q", "a", passages=[passage, passage, gone])
    asked = "select feedback_id, hash, document_id from feedback_passages order by hash"
    assert rows(db, asked) == [
        {"feedback_id": given.id, "hash": "hash-1", "document_id": document.id},
        {"feedback_id": given.id, "hash": "hash-2", "document_id": None},
    ]
    remove_document(db, workspace.id, "a.md")
    assert [row["document_id"] for row in rows(db, asked)] == [None, None]


def test_a_bulk_import_is_one_transaction(db, workspace, corrected):
    with pytest.raises(ZeroDivisionError), write_transaction(db):
        for number in range(50):
            corrected(f"q{number}", "a", yes=True)
        assert len(approved_pairs(db, workspace.id)) == 50
        raise ZeroDivisionError
    assert approved_pairs(db, workspace.id) == []
    assert one(db, "select count(*) as count from messages") == {"count": 0}
