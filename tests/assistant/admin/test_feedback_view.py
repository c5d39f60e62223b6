"""What the reviewer reads of one piece of feedback."""

import pytest

from assistant.admin.feedback_view import STATUS_NAMES, day_and_time, detail, label, notes
from assistant.review import Review
from knowledge.contradictions import PageContradiction
from storage.pairs import Rival
from storage.records import ChatMessage, Feedback, Inputs, Passage

NASTY = "<script>alert(1)</script>\n\n&"


def feedback(**more):
    known = {"id": 7, "workspace_id": 1, "message_id": "m", "origin": "staff"}
    known |= {"contributor": "user:1", "status": "new", "created_at": "2026-11-21T04:58:26.000Z"}
    return Feedback(**(known | {"question": "How long?", "answer": "30 days."} | more))


def test_said_and_wanted_stand_side_by_side_with_their_differences():
    shown = detail(feedback(correction="45 days."), "mo", None)
    assert "<del>30</del> days." in shown
    assert "<ins>45</ins> days." in shown
    assert "#7 · New · by mo · 2026-11-21 04:58" in shown


def test_an_imported_text_that_answers_nothing_stands_alone():
    shown = detail(feedback(answer="", correction="45 days."), "mo", None)
    assert "What was said" not in shown and '<div class="passage">45 days.</div>' in shown


def test_a_reviewers_wording_is_shown_as_such():
    shown = detail(feedback(correction="45", approved_correction="45 days."), "mo", None)
    assert "as edited by the reviewer" in shown
    assert "as edited" not in detail(feedback(correction="4", approved_correction="4"), "mo", None)


def test_without_a_correction_the_reviewer_is_told_what_to_do():
    assert "edit to write what was wanted, or reject" in detail(feedback(rating=-1), "mo", None)


@pytest.mark.parametrize("field", ["question", "answer", "comment", "correction"])
def test_nothing_that_was_typed_becomes_markup(field):
    shown = detail(feedback(**{"correction": "x", field: NASTY}), NASTY, None)
    assert "<script" not in shown
    assert "\n" not in shown


def test_what_the_model_saw_can_be_unfolded():
    turn: ChatMessage = {"role": "user", "content": NASTY}
    inputs = Inputs(
        "How long?",
        "",
        1,
        history=(turn,),
        passages=(Passage(1, 1, NASTY, NASTY, "h", 0.1),),
    )
    shown = detail(feedback(correction="x"), "mo", inputs)
    assert "Earlier in the conversation" in shown
    assert "[1] &lt;script&gt;" in shown
    assert "<script" not in shown and "\n" not in shown


def test_others_who_said_the_same_are_counted():
    assert "1 other said the same" in detail(feedback(), "mo", None, [feedback()])
    assert "2 others said" in detail(feedback(), "mo", None, [feedback(), feedback()])


def test_labels_are_one_short_line():
    assert label(feedback(question="a\n b " + "c" * 200, correction="x")).startswith("#7  a b ccc")
    assert len(label(feedback(question="c" * 500, correction="x"))) < 90
    assert "👎" in label(feedback(rating=-1)) and "👍" in label(feedback(rating=1))


def test_every_status_has_a_name():
    assert set(STATUS_NAMES) == {"new", "quarantined", "approved", "rejected"}


def test_times_are_short():
    assert day_and_time("2026-11-21T04:58:26.123Z") == "2026-11-21 04:58"
    assert day_and_time(None) == ""


def test_notes_name_what_to_know_and_nothing_in_them_becomes_markup():
    rival = Rival(3, NASTY, NASTY, "g", "2026-11-21T04:58:26.000Z", True)
    page = PageContradiction(NASTY, "within 30 days", "within 45 days <b>", "number of day")
    review = Review("json", NASTY, pages=(page,), same_as=9, otherwise=(rival,))
    shown = notes(review)
    assert "fails its json check" in shown and "2026-11-21 (#3)" in shown
    assert "<del>30</del> days" in shown and "<ins>45</ins> days<ins> &lt;b&gt;</ins>" in shown
    assert "The same as #9" in shown
    assert "<script" not in shown and "\n" not in shown
    assert notes(Review("exact", None)) == ""
