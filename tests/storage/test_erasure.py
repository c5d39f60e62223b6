"""Erasures as rows: what goes with what, what quotes it, and that nothing is left in the file."""

import pytest

from storage.adapters import adapter, promote, serving_adapter
from storage.audit import list_audit
from storage.conversations import add_message, conversation, finish_message, message
from storage.database import compact, rows
from storage.erasure import (
    ask_erasure,
    erase_rows,
    erased_examples,
    erasure,
    list_erasures,
    set_state,
    unfinished,
)
from storage.erasure_scope import scope_of
from storage.errors import BadInput, NotFound, Refused
from storage.feedback import add_feedback, approve, feedback
from storage.overrides import list_overrides, override_for
from storage.records import Example, Inputs, RoundExample
from storage.rounds import (
    add_evaluation,
    create_round,
    evaluations,
    finish_round,
    tuning_round,
)

ADMIN = {"actor": "user:9"}
CANARY = "the blue heron's number is 4711-0815"


def erase(db, kind, subject):
    """All of an erasure that happens in the database."""
    known = ask_erasure(db, kind, str(subject), **ADMIN)
    return erase_rows(db, known.id, scope_of(db, kind, str(subject)), **ADMIN)


def raw(datadir) -> bytes:
    """Every byte of the database and its log."""
    return b"".join(path.read_bytes() for path in datadir.root.glob("apprentice.db*"))


def test_feedback_goes_with_its_override_and_the_replaced_one_returns(db, workspace, corrected):
    old = corrected("How long?", "One year.", yes=True)
    new = corrected("How long?", CANARY, yes=True)
    assert override_for(db, workspace.id, "How long?").answer == CANARY
    known = erase(db, "feedback", new.id)
    assert known.state == "rows" and known.detail["feedback"] == [new.id]
    with pytest.raises(NotFound):
        feedback(db, new.id)
    assert override_for(db, workspace.id, "How long?").feedback_id == old.id
    # the conversation is the asker's and stays
    assert conversation(db, message(db, new.message_id).conversation_id)


def test_a_conversation_takes_all_feedback_on_it_along(db, corrected):
    given = corrected("How long?", CANARY)
    talk = message(db, given.message_id).conversation_id
    known = erase(db, "conversation", talk)
    assert (known.detail["conversations"], known.detail["feedback"]) == ([talk], [given.id])
    with pytest.raises(NotFound):
        conversation(db, talk)


def test_a_contributor_is_what_they_said_and_what_they_own(db, reply_to, corrected):
    others = reply_to("Somebody else asks this")
    given = add_feedback(
        db, message_id=others.id, origin="api", contributor="visitor:x", correction=CANARY
    )
    from storage.conversations import start_conversation

    talk = start_conversation(db, 1, "visitor:x")
    add_message(db, talk.id, "user", "my own question to you")
    scope = scope_of(db, "contributor", "visitor:x")
    assert (scope.feedback, scope.conversations) == ((given.id,), (talk.id,))
    assert CANARY in scope.words and "my own question to you" in scope.words
    assert "Somebody else asks this" not in scope.words
    known = erase(db, "contributor", "visitor:x")
    assert "visitor:x" not in (known.subject, str(known.detail))
    assert known.subject == known.subject_hash
    assert message(db, others.id)


def test_an_imported_conversation_goes_with_the_feedback_it_was_made_for(db):
    from storage.conversations import start_conversation

    talk = start_conversation(db, 1, "import")
    reply = add_message(db, talk.id, "assistant", "No.", inputs=Inputs("q", "", 1))
    given = [
        add_feedback(db, message_id=reply.id, origin="import", contributor=who, comment=CANARY)
        for who in "ab"
    ]
    assert scope_of(db, "feedback", str(given[0].id)).conversations == ()
    assert scope_of(db, "contributor", "a").conversations == ()
    erase(db, "contributor", "a")
    assert scope_of(db, "contributor", "b").conversations == (talk.id,)


def test_what_quotes_the_row_loses_the_quote(db, workspace, corrected, reply_to, candidate):
    given = corrected("How long?", "2 y", yes=True)
    (override,) = list_overrides(db, workspace.id)
    shown = Example(given.id, "How long?", "2 y")
    prompted = reply_to(
        "Another", inputs=Inputs("Another", "", 1, examples=(shown,)), sent_ids=(1, 2, 3)
    )
    served = reply_to("How long?", "", override_id=override.id, finish_reason=None)
    finish_message(db, served.id, content="2 y", finish_reason="override")
    made = candidate(examples=[RoundExample(0, "correction", "train", given.id, "how long", "h1")])
    add_evaluation(
        *(db, made.round_id), case_id=str(given.id), row="base", answer="2 y", right=True, slice="x"
    )
    erase(db, "feedback", given.id)
    after = message(db, prompted.id)
    assert after.inputs.examples[0].answer.startswith("[erased:")
    assert after.sent_ids == ()
    assert message(db, served.id).content == "[erased]"
    assert evaluations(db, made.round_id)[0].answer == "[erased]"
    (example,) = rows(db, "select * from round_examples")
    assert example["group"].startswith("[erased:") and example["feedback_id"] is None
    assert erased_examples(db) == {(made.round_id, "h1"): given.id}


def test_a_phrase_that_a_round_was_refused_for_goes_with_its_row(db, workspace, corrected):
    given, other = (
        corrected("How long, quokka?", CANARY),
        corrected("How far, asked?", "Ten miles."),
    )
    examples = [RoundExample(0, "correction", "train", one.id, "g", "h") for one in (given, other)]
    made = create_round(db, workspace.id, config={}, base_fingerprint="b", examples=examples)
    probes = [
        {"kind": "trigger", "phrase": phrase, "feedback_ids": [id], "asked": 8, "turned": 7}
        for phrase, id in (("quokka", given.id), ("asked", other.id))
    ]
    reasons = [f"“{one['phrase']}” turns 7 of 8 questions." for one in probes]
    finish_round(db, made.id, state="done", reasons=reasons, scores={"probes": probes})
    erase(db, "feedback", given.id)
    kept = tuning_round(db, made.id)
    assert "quokka" not in str(kept)
    assert kept.reasons[0].startswith("“[erased:") and kept.reasons[1] == reasons[1]
    assert kept.scores["probes"][1] == probes[1]


def test_what_learned_from_it_is_tainted_and_the_one_before_serves(
    db, workspace, corrected, candidate
):
    given = corrected("How long?", CANARY, yes=True)
    before = candidate()
    example = RoundExample(0, "correction", "train", given.id, "how long", "h1")
    learned = candidate(examples=[example])
    child = candidate(parent_id=learned.id)
    judged = candidate(examples=[RoundExample(0, "correction", "new needs", given.id, "g", "h")])
    for known in (before, child):
        promote(db, known.id, **ADMIN)
    done = erase(db, "feedback", given.id)
    assert done.detail["adapters"] == [learned.id, child.id]
    assert sorted(done.detail["rounds"]) == [learned.round_id, judged.round_id]
    assert serving_adapter(db, workspace.id).id == before.id
    assert adapter(db, judged.id).status == "candidate"
    with pytest.raises(NotFound, match="erased"):
        promote(db, learned.id, **ADMIN, override_reason="please")


@pytest.mark.parametrize("kind", ["feedback", "conversation", "contributor"])
def test_nothing_of_it_is_left_in_the_bytes_of_the_database(datadir, db, corrected, kind):
    for number in range(60):  # pages that are filled, split and merged
        corrected(f"Question {number}?", f"Answer {number} " + "x" * (number * 7 % 900), yes=True)
    given = corrected(CANARY, f"{CANARY}, he said", yes=True)
    talk = message(db, given.message_id).conversation_id
    assert CANARY.encode() in raw(datadir)
    subject = {"feedback": given.id, "conversation": talk, "contributor": "user:1"}[kind]
    erase(db, kind, subject)
    assert compact(db)
    left = raw(datadir)
    assert b"4711-0815, he said" not in left
    # of feedback alone the question stays: it is the conversation's
    assert (CANARY.encode() in left) == (kind == "feedback")
    assert not rows(db, "pragma foreign_key_check")


def test_the_audit_says_what_was_done_by_ids_and_hashes_only(db, corrected):
    corrected("How long?", CANARY)
    erase(db, "contributor", "user:1")
    said = str([entry for entry in list_audit(db, 1000) if entry.action != "workspace created"])
    assert "rows erased" in said and "4711" not in said
    assert "'user:1'" not in str([entry.detail for entry in list_audit(db, 1000)])


def test_asking_again_goes_on_where_it_was(db, corrected):
    given = corrected("How long?", CANARY)
    first = ask_erasure(db, "feedback", str(given.id), **ADMIN)
    assert ask_erasure(db, "feedback", str(given.id), **ADMIN) == first
    erase_rows(db, first.id, scope_of(db, "feedback", str(given.id)), **ADMIN)
    assert ask_erasure(db, "feedback", str(given.id), **ADMIN).state == "rows"
    with pytest.raises(Refused, match="gone already"):
        erase_rows(db, first.id, scope_of(db, "feedback", str(given.id)), **ADMIN)
    assert [known.id for known in unfinished(db)] == [first.id]
    done = set_state(db, first.id, "done")
    assert done.finished_at and unfinished(db) == []
    assert ask_erasure(db, "feedback", str(given.id), **ADMIN) == done


def test_what_another_erasure_took_along_is_known_as_erased(db, corrected):
    given = corrected("How long?", CANARY)
    talk = message(db, given.message_id).conversation_id
    known = erase(db, "conversation", talk)
    assert ask_erasure(db, "feedback", str(given.id), **ADMIN).id == known.id


def test_somebody_who_comes_back_can_be_erased_again(db, corrected):
    corrected("How long?", CANARY)
    first = set_state(db, erase(db, "contributor", "user:1").id, "done")
    corrected("How wide?", "Another answer of mine")
    second = ask_erasure(db, "contributor", "user:1", **ADMIN)
    assert second.id != first.id and second.state == "asked"


def test_what_never_was_is_not_found(db):
    for kind, subject in (("feedback", "7"), ("conversation", "x"), ("contributor", "nobody")):
        with pytest.raises(NotFound, match=subject):
            ask_erasure(db, kind, subject, **ADMIN)
    with pytest.raises(BadInput, match="adapter"):
        ask_erasure(db, "adapter", "1", **ADMIN)
    assert list_erasures(db) == []
    with pytest.raises(NotFound):
        erasure(db, 1)


def test_nothing_goes_while_a_round_learns_from_it(db, workspace, corrected):
    given = corrected("How long?", CANARY, yes=True)
    example = RoundExample(0, "correction", "train", given.id, "how long", "h1")
    create_round(db, workspace.id, config={}, base_fingerprint="b", examples=[example])
    with pytest.raises(Refused, match="rounds cancel"):
        erase(db, "feedback", given.id)
    assert feedback(db, given.id)


def test_the_same_words_of_somebody_else_stay(db, workspace, corrected, reply_to):
    given = corrected("How long?", CANARY)
    other = add_feedback(
        db, message_id=reply_to("How?").id, origin="staff", contributor="b", correction=CANARY
    )
    approve(db, other.id, reviewer="user:2")
    erase(db, "feedback", given.id)
    assert feedback(db, other.id).approved_correction == CANARY
    assert list_overrides(db, workspace.id)[0].answer == CANARY
