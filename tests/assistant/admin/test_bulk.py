"""Several rows at once: what is clear is done, what needs a look is left and named."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.security import may_review
from storage.feedback import feedback
from storage.workspaces import set_workspace
from tests.assistant.outside import give


@pytest.fixture
def queue(tab):
    return tab(FeedbackTab)


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def states(office, *given):
    with closing(office.app.db()) as db:
        return [feedback(db, item.id).status for item in given]


def test_ticked_rows_are_approved_and_the_others_left(office, queue):
    three = [office.correction(f"Question {number}?", f"{number}.") for number in range(3)]
    shown = press(office, queue.show, "new", None)
    assert [id for _, id in shown[queue.bulk.ticked]["choices"]] == [
        item.id for item in reversed(three)
    ]
    done = press(office, queue.bulk.approve_them, "new", [three[0].id, three[2].id])
    assert "2 approved." in done[queue.bulk.said]
    assert states(office, *three) == ["approved", "new", "approved"]
    assert [id for _, id in done[queue.rows]["choices"]] == [three[1].id]
    assert done[queue.bulk.ticked]["value"] == []


def test_what_fails_its_check_or_says_otherwise_is_left_and_named(office, queue):
    with closing(office.app.db()) as db:
        check = '[{"type": "contains", "all": ["days"]}]'
        set_workspace(db, "team", "checks", check)
    wrong = office.correction("How long?", "Long.")
    first = office.correction("How much?", "5 days.")
    other = office.correction("How much?", "9 days.")
    ticked = [wrong.id, first.id, other.id]
    said = press(office, queue.bulk.approve_them, "new", ticked)[queue.bulk.said]
    assert "1 approved." in said and f"#{wrong.id} fails its contains check" in said
    assert f"#{other.id} the same question was corrected differently" in said
    assert states(office, wrong, first, other) == ["new", "approved", "new"]


def test_ticked_rows_are_rejected(office, queue, approved):
    other = office.correction("How much?")
    said = press(office, queue.bulk.reject_them, "new", [other.id, approved.id])
    assert "2 rejected." in said[queue.bulk.said]
    assert states(office, other, approved) == ["rejected", "rejected"]


def test_only_who_reviews_and_only_what_is_of_this_workspace(office, queue):
    given = office.correction("How much?")
    with pytest.raises(gr.Error, match="Tick the rows"):
        press(office, queue.bulk.reject_them, "new", [])
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, queue.bulk.reject_them, "new", [given.id], who="mo")
    for work in (queue.bulk.approve_them, queue.bulk.reject_them):
        with pytest.raises(gr.Error, match="Choose a row"):
            press(office, work, "new", [given.id], workspace=1)
    assert states(office, given) == ["new"]


def test_what_is_flagged_is_listed_by_itself_and_not_approved_in_bulk(office, queue):
    rows = [("v1", "Where?", "At www.evil.example"), ("v2", "How long?", "Thirty days.")]
    odd, plain = give(office.app, office.team, rows)
    shown = press(office, queue.show, "flagged", None)
    assert [id for _, id in shown[queue.rows]["choices"]] == [odd]
    assert ("Flagged (1)", "flagged") in shown[queue.list.status]["choices"]
    assert "It names evil.example, a website" in shown[queue.told]
    done = press(office, queue.bulk.approve_them, "quarantined", [odd, plain])
    assert "1 approved." in done[queue.bulk.said]
    assert f"#{odd} It names evil.example" in done[queue.bulk.said]
