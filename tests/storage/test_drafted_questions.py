"""Which questions a reviewer may word anew, and what follows them."""

import pytest

from storage.audit import list_audit
from storage.conversations import conversation, message
from storage.drafted_questions import may_reword, reword
from storage.errors import BadInput, Refused
from storage.feedback import add_feedback, approve, duplicates_of, reject
from storage.overrides import override_for
from storage.pairs import approved_pairs
from storage.records import Passage


@pytest.fixture
def drafted(db, reply_to):
    """`drafted(question)`: an imported correction that nobody asked for."""

    def build(question, *, group="", **reply):
        said = reply_to(question, **{"answer": "", "finish_reason": "imported"} | reply)
        return add_feedback(
            db,
            message_id=said.id,
            origin="import",
            contributor="import",
            correction="We shall see.",
            group=group,
        )

    return build


def test_the_question_goes_everywhere(db, workspace, drafted):
    given, other = drafted("Write a txet."), drafted("What comes?")
    made = reword(db, given.id, " What  comes? ", actor="user:2")
    assert (made.question, made.group) == ("What  comes?", "what comes")
    assert [one.id for one in duplicates_of(db, given.id)] == [other.id]
    reply = message(db, given.message_id)
    assert reply.inputs.question == message(db, reply.parent_id).content == "What  comes?"
    assert conversation(db, reply.conversation_id).title == "What comes?"
    approve(db, given.id, reviewer="user:2")
    assert approved_pairs(db, workspace.id)[0].inputs.question == "What  comes?"
    assert override_for(db, workspace.id, "what comes", ()).answer == "We shall see."
    act = list_audit(db, 2)[1]
    assert (act.action, act.actor, act.detail) == ("question reworded", "user:2", {})


def test_a_need_that_somebody_named_stays(db, drafted):
    given = drafted("Write it.", group="style 3")
    assert reword(db, given.id, "Write of the tide.", actor="user:2").group == "style 3"


@pytest.mark.parametrize("question", ["", " \n", "x" * 10_001])
def test_nothing_and_too_much_are_refused(db, drafted, question):
    with pytest.raises(BadInput, match="characters"):
        reword(db, drafted("Write it.").id, question, actor="user:2")


PASSAGE = Passage(0, 0, "a.md", "It is open.", "hash", 0.1)
TURN = {"role": "user", "content": "Hello."}


@pytest.mark.parametrize(
    "reply", [{"answer": "No."}, {"passages": (PASSAGE,)}, {"history": (TURN,)}]
)
def test_what_hangs_on_its_question_keeps_it(db, drafted, reply):
    given = drafted("Is it open?", **reply)
    with pytest.raises(Refused, match="stands as it was asked"):
        reword(db, given.id, "Is it shut?", actor="user:2")
    assert message(db, given.message_id).inputs.question == "Is it open?"


def test_what_staff_said_keeps_its_question(db, corrected):
    given = corrected("Is it open?", "Yes.", answer="")
    assert not may_reword(given, message(db, given.message_id).inputs)


def test_an_approved_one_is_rejected_first(db, drafted):
    given = drafted("Write it.")
    approve(db, given.id, reviewer="user:2")
    with pytest.raises(Refused, match="not approved"):
        reword(db, given.id, "Write of the tide.", actor="user:2")
    reject(db, given.id, reviewer="user:2")
    assert reword(db, given.id, "Write of it.", actor="user:2").status == "rejected"
