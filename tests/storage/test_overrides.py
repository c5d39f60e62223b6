import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.errors import NotFound
from storage.feedback import approve, reject
from storage.overrides import history_key, list_overrides, normalise, override, override_for, retire
from storage.workspaces import create_workspace


def said(*texts):
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "same",
    [
        "list the orders",
        "List the orders?",
        "  LIST\tthe \n orders ?! ",
        "«List the orders.»",
        "(list the orders)",
        "Ｌｉｓｔ the orders…",
    ],
)
def test_what_does_not_change_the_meaning_does_not_count(same):
    assert normalise(same) == "list the orders"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("list the orders", "list the order"),
        ("what is C", "what is C+"),
        ("5 $", "5 €"),
        ("what is a.b", "what is ab"),
        ("?", "!"),
        ("résumé", "resume"),
    ],
)
def test_different_questions_stay_different(one, other):
    assert normalise(one) != normalise(other)


@given(st.text())
@example("ͅ")
@example("İ!")
@example("ẞ")
def test_normalising_twice_is_once(text):
    assert normalise(normalise(text)) == normalise(text)


def test_the_history_is_cut_before_the_question_itself():
    assert history_key("q", []) == ""
    assert history_key("q", said("Q?", "wrong answer")) == ""
    assert history_key("q", said("a", "b", "q!", "wrong")) == history_key("q", said("a", "b"))
    assert history_key("q", said("a", "b")) != history_key("q", said("a", "c")) != ""
    # the assistant saying it is not the user asking it
    assert history_key("q", said("a", "q")) != ""


def test_it_answers_the_same_question_at_once(db, workspace, corrected):
    corrected("List the orders?", "select 1", yes=True)
    found = override_for(db, workspace.id, "list  the ORDERS", [])
    assert found.answer == "select 1"
    assert override(db, found.id) == found
    assert override_for(db, workspace.id, "list the order") is None


def test_it_answers_only_in_its_workspace_and_after_its_history(db, workspace, corrected):
    corrected("and last month?", "select 2", yes=True, history=said("orders", "select 1"))
    ask = "And last month"
    assert override_for(db, workspace.id, ask, said("Orders!", "select 1")).answer == "select 2"
    assert override_for(db, workspace.id, ask, []) is None
    assert override_for(db, workspace.id, ask, said("customers", "select 1")) is None
    other = create_workspace(db, "other")
    assert override_for(db, other.id, ask, said("orders", "select 1")) is None


def test_asking_again_after_a_wrong_answer_gets_it(db, workspace, corrected):
    corrected("orders", "right", yes=True)
    again = said("orders", "wrong", "orders", "wrong again")
    assert override_for(db, workspace.id, "orders", again).answer == "right"
    # and a correction given on such a retry counts for the first question
    corrected("customers", "right", yes=True, history=said("customers", "wrong"))
    assert override_for(db, workspace.id, "customers", []).answer == "right"


def test_unapproved_feedback_answers_nothing(db, workspace, corrected):
    corrected("orders", "right")
    assert override_for(db, workspace.id, "orders") is None


def test_the_newest_approval_answers_and_the_older_returns_when_it_is_rejected(
    db, workspace, corrected
):
    first = corrected("orders", "one", yes=True)
    second = corrected("Orders?", "two", yes=True)
    assert [known.answer for known in list_overrides(db, workspace.id)] == ["two"]
    assert {known.status for known in list_overrides(db, workspace.id, status=None)} == {
        *("active", "retired"),
    }
    reject(db, second.id, reviewer="user:2")
    assert override_for(db, workspace.id, "orders").answer == "one"
    reject(db, first.id, reviewer="user:2")
    assert override_for(db, workspace.id, "orders") is None


def test_one_that_was_retired_by_hand_does_not_return(db, workspace, corrected):
    corrected("orders", "one", yes=True)
    retired = retire(db, override_for(db, workspace.id, "orders").id, actor="user:1")
    assert retired.status == "retired"
    second = corrected("orders", "two", yes=True)
    reject(db, second.id, reviewer="user:2")
    assert override_for(db, workspace.id, "orders") is None


def test_approving_again_changes_what_it_says(db, workspace, corrected):
    given = corrected("orders", "one", yes=True)
    approve(db, given.id, reviewer="user:2", correction="better")
    assert [known.answer for known in list_overrides(db, workspace.id, status=None)] == ["better"]


def test_an_unknown_one_is_named(db):
    with pytest.raises(NotFound, match="no override 99.*overrides list"):
        retire(db, 99, actor="user:1")
