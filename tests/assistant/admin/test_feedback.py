"""The review queue: list, decide, move on."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.feedback import FeedbackTab
from assistant.admin.names import contributor_name
from assistant.admin.queue_list import PAGE
from assistant.security import may_review
from storage.audit import list_audit
from storage.documents import chunks_of, put_document
from storage.feedback import feedback, list_feedback
from storage.overrides import list_overrides, override_for
from storage.records import Passage
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows


@pytest.fixture
def queue(tab):
    return tab(FeedbackTab)


def press(office, work, *inputs, who="rita", **more):
    return office.press(who, may_review, work, *inputs, **more)


def shown_ids(queue, shown) -> list[int]:
    return [value for _, value in shown[queue.rows]["choices"]]


def item(office, given):
    with closing(office.app.db()) as db:
        return feedback(db, given.id)


def test_the_newest_is_first_and_open(office, queue):
    first, second = office.correction("One?"), office.correction("Two?")
    shown = press(office, queue.show, "new", None)
    assert shown_ids(queue, shown) == [second.id, first.id]
    assert shown[queue.rows]["value"] == second.id
    assert "Two?" in shown[queue.shown]
    assert shown[queue.need]["value"] == second.group
    assert ("New (2)", "new") in shown[queue.list.status]["choices"]


def test_an_empty_queue_has_no_buttons(office, queue):
    shown = press(office, queue.show, "new", None)
    assert shown[queue.shown] == "Nothing here."
    assert shown[queue.actions]["visible"] is False
    assert shown[queue.need]["visible"] is False


def test_approving_serves_the_correction_at_once_and_moves_to_the_next(office, queue):
    given = [office.correction(f"Question {number}?") for number in range(3)]
    shown = press(office, queue.approve_it, "new", None, given[1].id, "returns", "")
    approved = item(office, given[1])
    assert (approved.status, approved.approved_correction) == ("approved", "Yes.")
    assert approved.reviewer == office.people["rita"].person.owner
    assert approved.group == "returns"
    with closing(office.app.db()) as db:
        assert override_for(db, office.team.id, "Question 1?", ()).answer == "Yes."
    assert shown_ids(queue, shown) == [given[2].id, given[0].id]
    assert shown[queue.rows]["value"] == given[0].id


def test_the_last_row_is_followed_by_the_one_above(office, queue):
    first, second = office.correction("One?"), office.correction("Two?")
    assert press(office, queue.reject_it, "new", None, first.id)[queue.rows]["value"] == second.id
    shown = press(office, queue.reject_it, "new", None, second.id)
    assert shown[queue.rows]["value"] is None
    assert shown[queue.shown] == "Nothing here."


def test_editing_keeps_what_the_contributor_wrote(office, queue):
    given = office.correction("How long?", wanted="45")
    opened = press(office, queue.open_editor, given.id)
    assert opened[queue.text]["value"] == "45"
    assert opened[queue.actions]["visible"] is False
    press(office, queue.approve_edited, "new", None, given.id, "", "", "45 days.")
    approved = item(office, given)
    assert (approved.correction, approved.approved_correction) == ("45", "45 days.")
    assert press(office, queue.open_editor, given.id)[queue.text]["value"] == "45 days."
    assert press(office, queue.close_editor)[queue.actions]["visible"] is True


def test_a_drafted_request_is_worded_anew(office, queue, tmp_path):
    own = {"prompt": "Write a txet.", "completion": "We shall see what the tide brings in tonight."}
    path = write_rows(tmp_path / "own.jsonl", own)
    run_verb(office.app, "style import", workspace="team", path=str(path))
    with closing(office.app.db()) as db:
        (given,) = list_feedback(db, office.team.id)
    opened = press(office, queue.open_editor, given.id)
    assert (opened[queue.request]["visible"], opened[queue.request]["value"]) == (
        True,
        "Write a txet.",
    )
    said = ("new", None, given.id, given.group, "", own["completion"])
    with pytest.raises(gr.Error, match="0 characters"):
        press(office, queue.approve_edited, *said, " ")
    press(office, queue.approve_edited, *said, "Write of the tide.")
    approved = item(office, given)
    assert (approved.status, approved.question) == ("approved", "Write of the tide.")
    assert press(office, queue.open_editor, given.id)[queue.request]["visible"] is False


def test_a_question_that_was_asked_is_not_edited(office, queue):
    given = office.correction("How long?")
    assert press(office, queue.open_editor, given.id)[queue.request]["visible"] is False
    press(office, queue.approve_edited, "new", None, given.id, "", "", "45 days.", "Otherwise?")
    assert item(office, given).question == "How long?"


def test_a_mere_rating_can_be_answered_by_the_reviewer(office, queue):
    given = office.correction("How long?", wanted=None)
    press(office, queue.approve_edited, "new", None, given.id, "", "", "45 days.")
    assert item(office, given).approved_correction == "45 days."


def test_a_thumb_is_approved_as_it_stands(office, queue):
    given = office.correction("How long?", wanted=None)
    shown = press(office, queue.show, "new", None)
    assert shown[queue.approve]["visible"] is True
    assert "A thumb down, without a correction" in shown[queue.shown]
    press(office, queue.approve_it, "new", None, given.id, "", "")
    approved = item(office, given)
    assert (approved.status, approved.approved_correction) == ("approved", None)
    with closing(office.app.db()) as db:
        assert list_overrides(db, office.team.id) == []


def test_rejecting_an_approved_one_takes_it_out_of_service(office, queue):
    given = office.correction("How long?")
    press(office, queue.approve_it, "new", None, given.id, "", "")
    press(office, queue.reject_it, "approved", None, given.id)
    with closing(office.app.db()) as db:
        assert list_overrides(db, office.team.id) == []


def test_approving_again_keeps_the_reviewers_wording(office, queue):
    given = office.correction("How long?")
    press(office, queue.approve_edited, "new", None, given.id, "", "", "In 45 days.")
    press(office, queue.approve_it, "approved", None, given.id, "returns", "")
    approved = item(office, given)
    assert (approved.approved_correction, approved.group) == ("In 45 days.", "returns")


def test_what_fails_its_check_needs_a_reason_from_the_reviewer(office, queue):
    with closing(office.app.db()) as db:
        set_workspace(db, office.team.name, "checks", '[{"type": "json"}]')
    given = office.correction("As JSON?", wanted="{")
    shown = press(office, queue.show, "new", None)
    assert "fails its json check" in shown[queue.told]
    assert shown[queue.reason]["visible"] is True
    asked = press(office, queue.approve_it, "new", None, given.id, "", " ")
    assert asked[queue.reason]["visible"] is True and item(office, given).status == "new"
    asked = press(office, queue.approve_edited, "new", None, given.id, "", "", "[1")
    assert "not JSON" in asked[queue.told] and item(office, given).status == "new"
    press(office, queue.approve_it, "new", None, given.id, "", "half of it is right")
    assert item(office, given).status == "approved"
    with closing(office.app.db()) as db:
        assert list_audit(db, 1)[0].detail["despite_check"] == "half of it is right"


def test_an_edit_that_passes_its_check_needs_no_reason(office, queue):
    with closing(office.app.db()) as db:
        set_workspace(db, office.team.name, "checks", '[{"type": "json"}]')
    given = office.correction("As JSON?", wanted="{")
    press(office, queue.approve_edited, "new", None, given.id, "", "", "{}")
    assert item(office, given).approved_correction == "{}"


def test_the_reviewer_is_told_of_other_answers_and_of_the_same(office, queue):
    first, other, same = [
        office.correction("How long?", wanted=text) for text in ("45 days.", "30 days.", "45 days.")
    ]
    press(office, queue.approve_it, "new", None, first.id, "returns", "")
    shown = press(office, queue.show, "new", None, other.id)
    assert (
        f"corrected differently on {item(office, first).reviewed_at[:10]} (#{first.id})"
        in (shown[queue.told])
    )
    shown = press(office, queue.show, "new", None, same.id)
    assert f"The same as #{first.id}" in shown[queue.told]
    assert shown[queue.need]["value"] == "returns"
    press(office, queue.approve_it, "new", None, same.id, "returns", "")
    assert item(office, same).same_as == first.id


@pytest.fixture
def stale(office, queue):
    """Two approved corrections whose page has changed since."""
    with closing(office.app.db()) as db:
        page = put(db, office.team.id, "Back within 30 days.")
        chunk = chunks_of(db, page.id)[0]
    passage = Passage(chunk.id, page.id, "returns.md", chunk.text, chunk.hash, 0.1)
    given = [office.correction(text, passages=(passage,)) for text in ("How long?", "Since when?")]
    for one in given:
        press(office, queue.approve_it, "new", None, one.id, "", "")
    with closing(office.app.db()) as db:
        put(db, office.team.id, "Back within 45 days.")
    return given


def put(db, workspace_id, text):
    return put_document(
        db,
        workspace_id,
        name="returns.md",
        hash=text,
        media_type="text/markdown",
        chunks=[("", text)],
    )


def test_stale_ones_are_kept_edited_or_dropped(office, queue, stale):
    first, second = stale
    shown = press(office, queue.show, "approved", None)
    assert ("Stale (2)", "stale") in shown[queue.list.status]["choices"]
    assert shown[queue.keep]["visible"] is False
    shown = press(office, queue.first_page, "stale")
    assert shown_ids(queue, shown) == [second.id, first.id]
    assert "<del>30</del> days" in shown[queue.told] and "<ins>45</ins>" in shown[queue.told]
    assert shown[queue.keep]["visible"] is True and shown[queue.approve]["visible"] is False
    assert shown[queue.reject]["value"] == "Drop"
    found = press(office, queue.first_page, "stale", None, second.question.upper())
    assert shown_ids(queue, found) == [second.id]
    assert shown_ids(queue, press(office, queue.first_page, "stale", None, "heron")) == []
    shown = press(office, queue.keep_it, "stale", None, second.id)
    assert shown_ids(queue, shown) == [first.id]
    shown = press(office, queue.approve_edited, "stale", None, first.id, "", "", "45 days.")
    assert shown[queue.shown] == "Nothing here."
    shown = press(office, queue.show, "approved", None)
    assert "stale" not in [key for _, key in shown[queue.list.status]["choices"]]
    assert shown[queue.reject]["value"] == "Reject"
    with closing(office.app.db()) as db:
        put(db, office.team.id, "Back within 60 days.")
    press(office, queue.reject_it, "stale", None, first.id)
    assert item(office, first).status == "rejected"
    with pytest.raises(gr.Error, match="not stale"):
        press(office, queue.keep_it, "stale", None, first.id)


def test_only_a_reviewer_keeps(office, queue, stale):
    with pytest.raises(gr.Error):
        press(office, queue.keep_it, "stale", None, stale[0].id, who="mo")
    with pytest.raises(gr.Error):
        press(office, queue.keep_it, "stale", None, stale[0].id, workspace=1)


def test_needs_that_are_known_are_offered(office, queue):
    given = office.correction("How long?")
    press(office, queue.approve_it, "new", None, given.id, "returns", "")
    office.correction("How many days?")
    assert press(office, queue.show, "new", None)[queue.need]["choices"] == ["returns"]


def test_pages_go_back_in_time_and_return(office, queue):
    given = [office.correction(f"Question {number}?") for number in range(PAGE + 3)]
    first = press(office, queue.show, "new", None)
    assert shown_ids(queue, first) == [one.id for one in reversed(given[3:])]
    buttons = (queue.list.older, queue.list.newest)
    assert [first[one]["visible"] for one in buttons] == [True, False]
    second = press(office, queue.next_page, "new", None)
    assert shown_ids(queue, second) == [given[2].id, given[1].id, given[0].id]
    assert [second[one]["visible"] for one in buttons] == [False, True]
    back = press(office, queue.first_page, "new")
    assert shown_ids(queue, back) == shown_ids(queue, first)


def test_feedback_of_another_workspace_is_not_here(office, queue):
    given = office.correction("How long?")
    for work, *inputs in (
        (queue.approve_it, "new", None, given.id, "", ""),
        (queue.approve_edited, "new", None, given.id, "", "", "x"),
        (queue.reject_it, "new", None, given.id),
        (queue.open_editor, given.id),
    ):
        with pytest.raises(gr.Error):
            press(office, work, *inputs, workspace=1)
    assert item(office, given).status == "new"


@pytest.mark.parametrize("chosen", [None, "1", 999, True])
def test_a_row_that_is_not_there_gets_a_sentence(office, queue, chosen):
    with pytest.raises(gr.Error):
        press(office, queue.reject_it, "new", None, chosen)


def test_contributors_have_names_people_know(office):
    with closing(office.app.db()) as db:
        names = [
            contributor_name(db, one)
            for one in (office.people["mo"].person.owner, "user:999", "visitor:secret", "import")
        ]
    assert names == ["mo", "a deleted user", "a visitor", "import"]
