"""The rule of two reviewers, whatever order people press in and however many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.audit import list_audit
from storage.database import open_database, write_transaction
from storage.drafted_questions import reword
from storage.erasure import ask_erasure, erase_rows
from storage.erasure_scope import scope_of
from storage.errors import BadInput, Refused
from storage.feedback import add_feedback, approve, feedback, reject
from storage.first_yes import retract
from storage.overrides import list_overrides, override_for
from storage.pairs import approved_pairs, approved_thumbs
from storage.ratings import take_back
from storage.seen import Changed, mark_of
from storage.users import create_user, delete_user, set_user
from storage.workspaces import set_workspace

RULE = "two_reviewers"


@pytest.fixture
def people(db):
    """mo's corrections; ann, ben and cem review."""
    names = {"mo": "reviewer", "ann": "reviewer", "ben": "reviewer", "cem": "admin"}
    return {name: f"user:{create_user(db, name, 'x', role).id}" for name, role in names.items()}


@pytest.fixture
def rule(db):
    set_workspace(db, "default", RULE, "true")


@pytest.fixture
def of_mo(db, reply_to, people):
    """`of_mo(question)`: mo's correction of a new reply."""

    def build(question="How long?", correction="45 days.", **said):
        reply = reply_to(question)
        said = {"origin": "staff", "contributor": people["mo"], "correction": correction} | said
        return add_feedback(db, message_id=reply.id, **said)

    return build


def live(db, workspace):
    """What is answered with, after a look that what is taught says the same."""
    answers = [one.answer for one in list_overrides(db, workspace.id)]
    assert [one.chosen for one in approved_pairs(db, workspace.id)] == answers
    return answers


def test_the_first_yes_waits_and_the_second_one_counts(db, workspace, rule, people, of_mo):
    row = of_mo()
    first = approve(db, row.id, reviewer=people["ann"], group="returns")
    assert (first.status, first.reviewer, first.approved_correction) == ("new", None, None)
    assert (first.first_reviewer, first.first_text) == (people["ann"], "45 days.")
    assert first.group == "returns"
    assert live(db, workspace) == []
    second = approve(db, row.id, reviewer=people["ben"])
    assert (second.status, second.approved_correction) == ("approved", "45 days.")
    assert (second.first_reviewer, second.reviewer) == (people["ann"], people["ben"])
    assert second.group == "returns"
    assert live(db, workspace) == ["45 days."]
    acts = [(one.action, one.actor, one.detail.get("first")) for one in list_audit(db, 2)]
    assert acts == [
        ("feedback approved", people["ben"], people["ann"]),
        ("feedback first yes", people["ann"], None),
    ]


def test_the_same_person_twice_is_one(db, workspace, rule, people, of_mo):
    row = of_mo()
    for _ in range(2):
        assert approve(db, row.id, reviewer=people["ann"]).status == "new"
    assert approve(db, row.id, reviewer="cli:ANN").status == "new"
    assert live(db, workspace) == []
    assert approve(db, row.id, reviewer="cli:root").status == "approved"


def test_nobody_reviews_their_own(db, workspace, rule, people, of_mo):
    row = of_mo()
    for who in (people["mo"], "cli:mo"):
        with pytest.raises(Refused, match="a correction of your own"):
            approve(db, row.id, reviewer=who, correction="50 days.")
    assert reject(db, row.id, reviewer=people["mo"]).status == "rejected"
    typed = of_mo("And then?", contributor="cli")
    with pytest.raises(Refused, match="of your own"):
        approve(db, typed.id, reviewer="cli:root")


def test_an_edit_needs_somebody_elses_yes_again(db, workspace, rule, people, of_mo):
    row = of_mo()
    approve(db, row.id, reviewer=people["ann"])
    edited = approve(db, row.id, reviewer=people["ben"], correction="50 days.")
    assert (edited.status, edited.first_reviewer) == ("new", people["ben"])
    assert approve(db, row.id, reviewer=people["ann"], correction="45 days.").status == "new"
    assert approve(db, row.id, reviewer=people["ben"], correction="50 days.").status == "new"
    assert live(db, workspace) == []
    assert approve(db, row.id, reviewer=people["ann"]).approved_correction == "50 days."
    assert live(db, workspace) == ["50 days."]


def test_an_edit_of_what_is_live_takes_it_out_of_service(db, workspace, rule, people, of_mo):
    older = of_mo(correction="30 days.")
    row = of_mo()
    for one in (older, row):
        for who in ("ann", "ben"):
            approve(db, one.id, reviewer=people[who])
    assert live(db, workspace) == ["45 days."]
    approve(db, row.id, reviewer=people["cem"], correction="50 days.")
    assert feedback(db, row.id).status == "new"
    assert live(db, workspace) == ["30 days."], "what it had replaced answers meanwhile"
    approve(db, row.id, reviewer=people["ann"])
    assert live(db, workspace) == ["50 days."]


def test_a_yes_to_what_is_live_keeps_two_names(db, workspace, rule, people, of_mo):
    row = of_mo()
    for who in ("ann", "ben", "ann", "ben", "cem", "ann"):
        done = approve(db, row.id, reviewer=people[who])
    assert done.status == "approved"
    assert done.reviewer == people["ann"]
    assert done.first_reviewer in (people["ben"], people["cem"])


def test_one_no_is_enough_and_begins_anew(db, workspace, rule, people, of_mo):
    row = of_mo()
    approve(db, row.id, reviewer=people["ann"])
    no = reject(db, row.id, reviewer=people["ben"])
    assert (no.status, no.reviewer, no.first_reviewer) == ("rejected", people["ben"], None)
    assert approve(db, row.id, reviewer=people["ben"]).status == "new"
    assert live(db, workspace) == []


def test_a_yes_is_taken_back_before_the_second(db, workspace, rule, people, of_mo):
    row = of_mo()
    approve(db, row.id, reviewer=people["ann"])
    with pytest.raises(Refused, match="no first yes of yours"):
        retract(db, row.id, reviewer=people["ben"])
    retract(db, row.id, reviewer=people["ann"])
    assert feedback(db, row.id).first_reviewer is None
    assert list_audit(db, 1)[0].action == "feedback yes taken back"
    with pytest.raises(Refused, match="no first yes of yours"):
        retract(db, row.id, reviewer=people["ann"])
    for who in ("ben", "ann"):
        approve(db, row.id, reviewer=people[who])
    with pytest.raises(Refused, match="second yes already: reject it"):
        retract(db, row.id, reviewer=people["ben"])


def test_a_thumb_needs_two_as_well(db, workspace, rule, people, of_mo):
    row = of_mo(correction=None, rating=-1)
    approve(db, row.id, reviewer=people["ann"])
    assert approved_thumbs(db, workspace.id) == []
    assert approve(db, row.id, reviewer=people["ben"]).first_reviewer == people["ann"]
    assert [one.feedback_id for one in approved_thumbs(db, workspace.id)] == [row.id]


def test_a_thumb_that_was_taken_back_has_no_yes(db, workspace, rule, people, of_mo):
    row = of_mo(correction=None, rating=-1, comment="too short")
    approve(db, row.id, reviewer=people["ann"])
    take_back(db, row.message_id, people["mo"])
    assert feedback(db, row.id).first_reviewer is None
    with pytest.raises(BadInput, match="no thumb"):
        approve(db, row.id, reviewer=people["ben"])


def test_a_question_that_is_worded_anew_has_no_yes(db, rule, people, reply_to):
    reply = reply_to("Write a txet.", "")
    own = {"origin": "import", "contributor": "import", "correction": "A tide."}
    row = add_feedback(db, message_id=reply.id, **own)
    approve(db, row.id, reviewer=people["ann"])
    reword(db, row.id, "Write of the tide.", actor=people["ben"])
    assert feedback(db, row.id).first_reviewer is None
    assert approve(db, row.id, reviewer=people["ben"]).status == "new"


@pytest.mark.parametrize("gone", ["deleted", "demoted"])
def test_the_yes_of_who_may_review_no_more_does_not_count(db, workspace, rule, people, of_mo, gone):
    waits, done = of_mo(), of_mo("And then?")
    approve(db, waits.id, reviewer=people["ann"])
    for who in ("ann", "ben"):
        approve(db, done.id, reviewer=people[who])
    delete_user(db, "ann") if gone == "deleted" else set_user(db, "ann", role="viewer")
    assert feedback(db, done.id).status == "approved", "that was decided when she had the right"
    assert approve(db, waits.id, reviewer=people["ben"]).first_reviewer == people["ben"]
    assert approve(db, waits.id, reviewer=people["cem"]).status == "approved"


def test_switching_the_rule_decides_nothing(db, workspace, people, of_mo):
    before, half = of_mo("Before?"), of_mo("Half?")
    approve(db, before.id, reviewer=people["ann"])
    set_workspace(db, "default", RULE, "true", actor=people["cem"])
    (act,) = list_audit(db, 1)
    assert (act.actor, act.detail) == (people["cem"], {"key": RULE, "on": True})
    assert live(db, workspace) == ["45 days."], "what was approved by the rule of then stays"
    again = approve(db, before.id, reviewer=people["ben"], correction="45 days.")
    assert (again.first_reviewer, again.reviewer) == (people["ann"], people["ben"])
    approve(db, half.id, reviewer=people["ann"])
    set_workspace(db, "default", RULE, "false")
    assert feedback(db, half.id).status == "new", "nobody said yes meanwhile"
    set_workspace(db, "default", RULE, "true")
    assert approve(db, half.id, reviewer=people["ben"]).status == "approved"
    third = of_mo("Third?")
    approve(db, third.id, reviewer=people["ann"])
    set_workspace(db, "default", RULE, "false")
    alone = approve(db, third.id, reviewer=people["ann"])
    assert (alone.status, alone.first_reviewer, alone.reviewer) == ("approved", None, people["ann"])


def test_without_the_rule_one_yes_is_enough_and_ones_own_too(db, workspace, people, of_mo):
    done = approve(db, of_mo().id, reviewer=people["mo"])
    assert (done.status, done.first_reviewer) == ("approved", None)


def test_a_row_is_decided_on_as_it_was_seen(db, workspace, people, of_mo):
    row = of_mo()
    mark = mark_of(row)
    approve(db, row.id, reviewer=people["ann"], seen=mark)
    with pytest.raises(Changed, match=f"Feedback {row.id} was approved by ann meanwhile"):
        reject(db, row.id, reviewer=people["ben"], seen=mark)
    assert live(db, workspace) == ["45 days."]
    set_workspace(db, "default", RULE, "true")
    other = of_mo("And then?")
    approve(db, other.id, reviewer=people["ann"])
    with pytest.raises(Changed, match="got a first yes from ann"):
        approve(db, other.id, reviewer=people["ben"], seen=mark_of(other))
    seen = mark_of(feedback(db, other.id))
    retract(db, other.id, reviewer=people["ann"])
    with pytest.raises(Changed, match="taken back"):
        approve(db, other.id, reviewer=people["ben"], seen=seen)


@pytest.mark.parametrize("rule_on", [False, True])
def test_two_at_the_same_moment_do_not_overwrite_each_other(
    db, datadir, workspace, people, of_mo, rule_on
):
    set_workspace(db, "default", RULE, "true" if rule_on else "false")
    for number in range(10):
        row = of_mo(f"Question {number}?")
        together = threading.Barrier(2)

        def press(who, text, row=row, together=together):
            with open_database(datadir.database) as own:
                together.wait()
                try:
                    mark = mark_of(row)
                    return approve(own, row.id, reviewer=people[who], correction=text, seen=mark)
                except Changed as error:
                    return str(error)

        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(press, ("ann", "ben"), ("45 days.", "50 days.")))
        refused = [one for one in said if isinstance(one, str)]
        (done,) = [one for one in said if not isinstance(one, str)]
        assert len(refused) == 1 and "look at it again" in refused[0]
        assert done == feedback(db, row.id)
        assert (done.status == "approved") is not rule_on


def test_two_who_say_yes_at_once_are_two(db, datadir, workspace, rule, people, of_mo):
    for number in range(10):
        row = of_mo(f"Question {number}?")
        together = threading.Barrier(2)

        def press(who, row=row, together=together):
            with open_database(datadir.database) as own:
                together.wait()
                return approve(own, row.id, reviewer=people[who])

        with ThreadPoolExecutor(2) as pool:
            said = sorted(one.status for one in pool.map(press, ("ann", "ben")))
        assert said == ["approved", "new"]
        done = feedback(db, row.id)
        assert {done.first_reviewer, done.reviewer} == {people["ann"], people["ben"]}


def test_what_a_first_yes_was_said_to_is_erased_with_its_row(db, rule, people, of_mo):
    row = of_mo()
    approve(db, row.id, reviewer=people["ann"], correction="Ask Jo Doe, who keeps the list.")
    scope = scope_of(db, "contributor", people["mo"])
    assert "Ask Jo Doe, who keeps the list." in scope.words
    asked = ask_erasure(db, "contributor", people["mo"], actor="user:9")
    erase_rows(db, asked.id, scope, actor="user:9")
    assert db["first_yeses"].count == 0


WHO = st.sampled_from(("mo", "ann", "ben", "cem"))
TEXTS = st.sampled_from((None, "45 days.", "50 days.", "60 days."))
PRESSES = st.one_of(
    st.tuples(st.just("yes"), WHO, TEXTS),
    st.tuples(st.sampled_from(("no", "undo")), WHO, st.none()),
)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(presses=st.lists(PRESSES, min_size=2, max_size=9))
def test_live_is_only_what_two_others_said_yes_to(db, workspace, rule, people, of_mo, presses):
    """Whatever the order: by a count of who stands behind which text, kept beside the tables."""
    row = of_mo("Which of them?")
    behind: dict[str, str] = {}  # who -> the text that their yes stands behind
    settled = ""
    for act, who, text in presses:
        said = text or settled or next(iter(behind.values()), "45 days.")
        if act == "yes" and who == "mo":
            with pytest.raises(Refused):
                approve(db, row.id, reviewer=people[who], correction=said)
        elif act == "yes":
            approve(db, row.id, reviewer=people[who], correction=said if text or settled else None)
            behind = {one: other for one, other in behind.items() if other == said} | {who: said}
        elif act == "no":
            reject(db, row.id, reviewer=people[who])
            behind = {}
        elif who in behind and not settled:
            retract(db, row.id, reviewer=people[who])
            del behind[who]
        else:
            with pytest.raises(Refused):
                retract(db, row.id, reviewer=people[who])
        settled = said_by_two(behind)
        found = override_for(db, workspace.id, "Which of them?")
        assert (found.answer if found else "") == settled
        known = feedback(db, row.id)
        assert (known.status == "approved") is bool(settled)
        if settled:
            names = {known.first_reviewer, known.reviewer}
            assert len(names) == 2 and names <= {people[one] for one in behind}
    with write_transaction(db):
        db.conn.execute("delete from feedback where id = ?", (row.id,))


def said_by_two(behind: dict[str, str]) -> str:
    texts = list(behind.values())
    return next((text for text in texts if texts.count(text) >= 2), "")
