"""Other wordings of corrected questions: what is one, what is none, and when it goes."""

import pytest

from storage.audit import list_audit
from storage.database import write, write_transaction
from storage.errors import BadInput, NotFound
from storage.feedback import approve, reject
from storage.paraphrases import (
    add_paraphrase,
    judging_paraphrases,
    list_paraphrases,
    paraphrase,
    remove_paraphrase,
)


@pytest.fixture
def approved(corrected):
    return corrected("Which orders are closed?", "select 1", yes=True)


def test_it_is_kept_with_its_author(db, workspace, approved):
    made = add_paraphrase(db, approved.id, " Show me closed orders ", author="user:3")
    assert (made.feedback_id, made.question, made.author) == (
        approved.id,
        "Show me closed orders",
        "user:3",
    )
    assert list_paraphrases(db, workspace.id) == [made] == [paraphrase(db, made.id)]


@pytest.mark.parametrize("question", ["", "  \n", "x" * 10_001])
def test_nothing_and_too_much_are_refused(db, approved, question):
    with pytest.raises(BadInput, match="characters"):
        add_paraphrase(db, approved.id, question, author="user:3")


@pytest.mark.parametrize("question", ["which orders are CLOSED", "  Late orders? ", "Show them."])
def test_what_is_taught_or_there_already_is_refused(db, workspace, corrected, approved, question):
    corrected("late orders", "select 2", yes=True)
    add_paraphrase(db, approved.id, "show them", author="user:3")
    with pytest.raises(BadInput, match="judges nothing new"):
        add_paraphrase(db, approved.id, question, author="user:3")
    assert len(list_paraphrases(db, workspace.id)) == 1


def test_only_an_approved_correction_has_them(db, corrected):
    waiting = corrected("Which orders?", "select 1")
    with pytest.raises(BadInput, match="no approved correction"):
        add_paraphrase(db, waiting.id, "orders please", author="user:3")
    with pytest.raises(NotFound):
        add_paraphrase(db, 99, "orders please", author="user:3")


def test_a_wording_that_is_corrected_later_judges_as_itself(db, workspace, corrected, approved):
    first = add_paraphrase(db, approved.id, "Show me closed orders", author="user:3")
    second = add_paraphrase(db, approved.id, "closed ones", author="user:3")
    assert judging_paraphrases(db, workspace.id) == {approved.id: (first, second)}
    waiting = corrected("show me closed orders!", "select 9")
    assert judging_paraphrases(db, workspace.id) == {approved.id: (first, second)}
    approve(db, waiting.id, reviewer="user:2")
    assert judging_paraphrases(db, workspace.id) == {approved.id: (second,)}


def test_removing_and_rejecting_end_it(db, workspace, approved):
    first = add_paraphrase(db, approved.id, "a first", author="user:3")
    second = add_paraphrase(db, approved.id, "a second", author="user:3")
    assert remove_paraphrase(db, first.id, actor="user:4") == first
    assert list_paraphrases(db, workspace.id) == [second]
    with pytest.raises(NotFound, match="feedback paraphrases"):
        remove_paraphrase(db, first.id, actor="user:4")
    reject(db, approved.id, reviewer="user:4")
    assert list_paraphrases(db, workspace.id) == []


def test_it_goes_with_its_feedback(db, approved):
    made = add_paraphrase(db, approved.id, "another", author="user:3")
    with write_transaction(db):
        write(db, "delete from feedback where id = ?", approved.id)
    with pytest.raises(NotFound):
        paraphrase(db, made.id)


def test_who_wrote_and_removed_it_is_in_the_audit(db, approved):
    made = add_paraphrase(db, approved.id, "another", author="user:3")
    remove_paraphrase(db, made.id, actor="user:4")
    said = {(entry.action, entry.actor) for entry in list_audit(db)}
    assert {("paraphrase added", "user:3"), ("paraphrase removed", "user:4")} <= said
