"""Two reviewers at the queue: who has said yes, whom a row waits for, and who was faster."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.admin.lookers import KEPT_S, Lookers
from assistant.security import may_review, may_see
from storage.feedback import add_feedback, feedback
from storage.overrides import list_overrides
from storage.users import delete_user
from storage.workspaces import set_workspace


@pytest.fixture
def queue(tab):
    return tab(FeedbackTab)


@pytest.fixture
def two(office):
    with closing(office.app.db()) as db:
        set_workspace(db, "team", "two_reviewers", "true")


def press(office, work, *inputs, who="rita", right=may_review):
    return office.press(who, right, work, *inputs)


def look(office, queue, status="new", who="rita", chosen=None):
    return press(office, queue.show, status, None, chosen, who=who, right=may_see)


def approve(office, queue, given, who="rita", status="new", seen=None):
    more = (None, None, None, seen)
    return press(office, queue.approve_it, status, None, given.id, "", "", *more, who=who)


def item(office, given):
    with closing(office.app.db()) as db:
        return feedback(db, given.id)


def ids(queue, shown):
    return [value for _, value in shown[queue.rows]["choices"]]


def names(queue, shown):
    return [name for name, _ in shown[queue.list.status]["choices"]]


def test_the_first_yes_stays_in_the_queue_and_says_so(office, queue, two):
    given = office.correction("How long?")
    shown = approve(office, queue, given)
    assert ids(queue, shown) == [given.id]
    assert f"#{given.id}  1 of 2 · How long?" in [name for name, _ in shown[queue.rows]["choices"]]
    again = look(office, queue)
    assert "You said yes on 20" in again[queue.second.said]
    assert "waits for a second reviewer" in again[queue.second.said]
    assert again[queue.second.back]["visible"] is True
    assert again[queue.approve]["visible"] is False and again[queue.edit]["visible"] is True
    other = look(office, queue, who="ada")
    assert "rita said yes on 20" in other[queue.second.said]
    assert other[queue.second.back]["visible"] is False
    with closing(office.app.db()) as db:
        assert list_overrides(db, office.team.id) == []
    done = look(office, queue, "approved") if approve(office, queue, given, "ada") else {}
    assert "Approved by rita and ada." in done[queue.second.said]


def test_the_filters_leave_out_what_is_not_mine_to_decide(office, queue, two):
    plain, said, given_by_rita = (office.correction(f"Question {n}?") for n in range(3))
    with closing(office.app.db()) as db:
        db.conn.execute(
            "update feedback set contributor = ? where id = ?",
            (office.people["rita"].person.owner, given_by_rita.id),
        )
    approve(office, queue, said)
    assert ids(queue, look(office, queue, "mine")) == [plain.id]
    assert ids(queue, look(office, queue, "mine", "ada")) == [given_by_rita.id, said.id, plain.id]
    assert ids(queue, look(office, queue, "half")) == [said.id]
    shown = look(office, queue)
    assert {"Waits for me (1)", "Waits for a second (1)"} <= set(names(queue, shown))
    own = look(office, queue, chosen=given_by_rita.id)
    assert "Your own: two other reviewers" in own[queue.second.said]
    assert own[queue.approve]["visible"] is own[queue.edit]["visible"] is False
    searched = press(office, queue.first_page, "mine", None, "question 0", who="ada")
    assert ids(queue, searched) == [plain.id]
    viewer = names(queue, look(office, queue, who="vic"))
    assert not any(name.startswith("Waits for me") for name in viewer)


def test_nobody_approves_their_own_by_a_press(office, queue, two):
    given = office.correction("How long?")
    with closing(office.app.db()) as db:
        db.conn.execute(
            "update feedback set contributor = ? where id = ?",
            (office.people["rita"].person.owner, given.id),
        )
    with pytest.raises(gr.Error, match="correction of your own"):
        approve(office, queue, given)
    left = press(office, queue.bulk.approve_them, "new", [given.id])[queue.bulk.said]
    assert "0 approved." in left and "is your own" in left


def test_who_was_slower_is_told_and_overwrites_nothing(office, queue):
    given = office.correction("How long?")
    seen = look(office, queue)[queue.seen]
    assert look(office, queue, who="ada")[queue.seen] == seen
    approve(office, queue, given, seen=seen)
    for work in (queue.reject_it, queue.keep_it):
        rest = (given.id, None, None, None, seen)
        told = press(office, work, "new", None, *rest, who="ada")
        assert f"Feedback {given.id} was approved by rita meanwhile" in told[queue.fault]["value"]
    assert item(office, given).status == "approved"
    edited = ("new", None, given.id, "", "", "50 days.", None, None, None, None, seen)
    assert "meanwhile" in press(office, queue.approve_edited, *edited)[queue.fault]["value"]
    assert item(office, given).approved_correction == "Yes."


def test_a_second_yes_to_what_was_not_seen_is_refused(office, queue, two):
    given = office.correction("How long?")
    seen = look(office, queue, who="ada")[queue.seen]
    edited = ("new", None, given.id, "", "", "50 days.")
    press(office, queue.approve_edited, *edited)
    told = approve(office, queue, given, "ada", seen=seen)
    assert "got a first yes from rita meanwhile" in told[queue.fault]["value"]
    assert "<ins>50 days</ins>" in told[queue.shown] and told[queue.seen] != seen
    approve(office, queue, given, "ada", seen=told[queue.seen])
    assert item(office, given).approved_correction == "50 days."


def test_a_yes_is_taken_back_by_the_button(office, queue, two):
    given = office.correction("How long?")
    approve(office, queue, given)
    with pytest.raises(gr.Error, match="no first yes of yours"):
        press(office, queue.take_back, "new", None, given.id, who="ada")
    shown = press(office, queue.take_back, "new", None, given.id)
    assert shown[queue.second.whole]["visible"] is False
    assert item(office, given).first_reviewer is None


def test_several_at_once(office, queue, two):
    rows = [office.correction(f"Question {n}?", f"{n}.") for n in range(3)]
    ticked = [one.id for one in rows]
    first = press(office, queue.bulk.approve_them, "new", ticked[:2])
    assert "0 approved. 2 got your yes and wait for a second reviewer." in first[queue.bulk.said]
    again = press(office, queue.bulk.approve_them, "new", ticked[:1])[queue.bulk.said]
    assert f"#{rows[0].id} has your yes and waits" in again
    marks = first[queue.bulk.marks]
    approve(office, queue, rows[2])
    second = press(office, queue.bulk.approve_them, "new", ticked, marks, who="ada")
    assert "2 approved." in second[queue.bulk.said]
    assert f"#{rows[2].id}: Feedback {rows[2].id} got a first yes" in second[queue.bulk.said]
    assert [item(office, one).status for one in rows] == ["approved", "approved", "new"]
    told = press(office, queue.bulk.reject_them, "new", ticked, marks, who="ada")[queue.bulk.said]
    assert "0 rejected." in told


@pytest.mark.parametrize("who", ["vic", "mo", "nell", "visitor", "anonymous"])
def test_only_a_reviewer_says_yes_or_takes_it_back(office, queue, two, who):
    given = office.correction("How long?")
    approve(office, queue, given)
    for work, more in (
        (queue.approve_it, ("", "")),
        (queue.take_back, ()),
        (queue.reject_it, ()),
    ):
        with pytest.raises(gr.Error, match="may not do this"):
            press(office, work, "new", None, given.id, *more, who=who)
    assert item(office, given).first_reviewer == office.people["rita"].person.owner


def test_a_reviewer_who_was_deleted_is_named_so(office, queue, two):
    given = office.correction("How long?")
    approve(office, queue, given)
    with closing(office.app.db()) as db:
        delete_user(db, "rita")
    shown = look(office, queue, who="ada")
    assert "a deleted user said yes" in shown[queue.second.said]
    approve(office, queue, given, "ada")
    assert item(office, given).status == "new", "her yes counts no more"


def test_the_site_is_said_and_filtered_by(office, queue):
    here = office.correction("Here?")
    assert look(office, queue)[queue.list.site]["visible"] is False
    with closing(office.app.db()) as db:
        far = add_feedback(
            db,
            message_id=here.message_id,
            origin="widget",
            contributor="south/visitor:x",
            correction="There.",
            site="site:south",
        )
    shown = look(office, queue)
    assert ("south (1)", "site:south") in shown[queue.list.site]["choices"]
    only = press(office, queue.first_page, "new", None, None, "site:south")
    assert ids(queue, only) == [far.id]
    assert "by south/visitor:x · from south" in only[queue.shown]
    assert ids(queue, press(office, queue.first_page, "new", None, None, "site:gone")) == []


def test_who_looks_at_the_row_too_is_said(office, queue):
    given = office.correction("How long?")
    look(office, queue)
    assert (
        "rita looked at it in the last two minutes."
        in look(office, queue, who="ada")[queue.second.said]
    )
    other = office.correction("How much?")
    assert look(office, queue, who="ada", chosen=other.id)[queue.second.said] == ""
    assert "looked" not in look(office, queue, chosen=given.id)[queue.second.said]


def test_a_look_ends_by_itself():
    lookers = Lookers()
    assert lookers.look("user:1", 7, now=0.0) == []
    assert lookers.look("user:2", 7, now=KEPT_S - 1) == ["user:1"]
    assert lookers.look("user:3", 7, now=KEPT_S + 1) == ["user:2"]
