"""What a reviewer is told, with a real embedder and a real index."""

from contextlib import closing

import pytest

from assistant.review import Reviews
from storage.feedback import feedback, list_feedback
from storage.pairs import approved_pairs
from tests.assistant.command_line import run_verb, write_rows

DAYS = "Unused goods may be returned within 45 days."
LONG = "For how many days may unused goods be returned to the shop?"
TYPO = "For how many days may unused goods be returned to the shop??"
NEAR = "For how many days may the unused goods be returned to the shop?"
OTHER = "How long can I bring back what I have not used?"


@pytest.fixture
def told(app, workspace):
    """`told(question, correction)`: new feedback, and what a reviewer is told of it."""

    def give(question, correction, approve=False):
        path = write_rows(
            app.datadir.root / "row.jsonl", {"question": question, "correction": correction}
        )
        run_verb(app, "feedback import", workspace="default", file=str(path))
        with closing(app.db()) as db:
            item = list_feedback(db, workspace.id, limit=1)[0]
            reviews = Reviews(app, db, workspace)
            if approve:
                done = reviews.approve(item, reviewer="user:1")
                reviews.close()
                return done
            return item, reviews.look(item)

    return give


def test_the_first_one_is_told_nothing(told):
    item, review = told(LONG, DAYS)
    assert (review.warnings, review.same_as, review.group, review.fault) == ((), None, None, None)


@pytest.mark.parametrize("question", [LONG + " ", TYPO, NEAR])
def test_the_same_again_is_a_duplicate(app, workspace, told, question):
    first, _ = told(LONG, DAYS, approve=True)
    again, review = told(question, f" {DAYS}\n", approve=True)
    assert review.same_as == again.same_as == first.id
    assert again.group == first.group
    assert f"the same as feedback {first.id}" in review.warnings[0]
    with closing(app.db()) as db:
        assert [pair.feedback_id for pair in approved_pairs(db, workspace.id)] == [first.id]


def test_another_wording_with_the_same_answer_is_a_pair_of_the_same_need(app, workspace, told):
    first, _ = told(LONG, DAYS, approve=True)
    second, review = told(OTHER, DAYS, approve=True)
    assert (review.same_as, review.warnings) == (None, ())
    assert second.group == review.group == first.group
    with closing(app.db()) as db:
        assert len(approved_pairs(db, workspace.id)) == 2


def test_wordings_that_only_begin_otherwise_both_train(app, workspace, told):
    told("How do I reach a person?", "To reach a person, write to us.", approve=True)
    _, review = told("Please tell me how to reach a person?", "To reach a person, write to us.")
    assert review.same_as is None and review.group == "how do i reach a person"


def test_a_need_that_somebody_named_is_kept(app, workspace, told):
    told(LONG, DAYS, approve=True)
    item, _ = told(OTHER, DAYS)
    with closing(app.db()) as db:
        done, _ = Reviews(app, db, workspace).approve(item, reviewer="u", group="mine")
    assert done.group == "mine"


@pytest.mark.parametrize("question", [TYPO, NEAR])
def test_another_answer_to_the_same_question_is_said_with_its_date(told, question):
    first, _ = told(LONG, DAYS, approve=True)
    _, review = told(question, "Never.")
    assert [one.feedback_id for one in review.otherwise] == [first.id]
    assert f"differently on {first.reviewed_at[:10]} (feedback {first.id})" in review.warnings[0]
    assert review.same_as is None and review.group is None


def test_another_number_makes_another_question(told):
    told("What do 20 ropes cost in the shop at the harbour?", "40 euros", approve=True)
    _, review = told("What do 30 ropes cost in the shop at the harbour?", "60 euros")
    assert review.otherwise == ()


def test_a_page_that_says_otherwise_is_named(app, told, tmp_path):
    (tmp_path / "returns.md").write_text("Unused goods may be returned within 45 days.")
    run_verb(app, "ingest", workspace="default", paths=[str(tmp_path / "returns.md")])
    _, review = told(LONG, "Unused goods may be returned within 30 days.")
    assert [page.document for page in review.pages] == ["returns.md"]
    assert "may contradict returns.md" in review.warnings[0]
    assert told(LONG, DAYS)[1].pages == ()


def test_a_file_is_compared_with_itself(app, workspace, tmp_path):
    rows = [
        {"question": LONG, "correction": DAYS},
        {"question": NEAR, "correction": DAYS},
        {"question": OTHER, "correction": DAYS},
        {"question": TYPO, "correction": "Never."},
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with closing(app.db()) as db:
        found = {item.question: item for item in list_feedback(db, workspace.id)}
        kept = {pair.feedback_id for pair in approved_pairs(db, workspace.id)}
        assert found[NEAR].same_as == found[LONG].id
        assert found[OTHER].group == found[LONG].group
        # the newest answer to the very same question counts
        assert kept == {found[TYPO].id, found[OTHER].id}
        assert feedback(db, found[TYPO].id).same_as is None
