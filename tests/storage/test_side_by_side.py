"""Two adapters on the questions that judged both."""

import pytest

from storage.adapters import add_adapter
from storage.errors import BadInput
from storage.paraphrases import add_paraphrase
from storage.rounds import add_evaluation, create_round, finish_round
from storage.side_by_side import side_by_side


@pytest.fixture
def judged(db, workspace):
    """`judged({case: (row, answer, right)})`: an adapter with its round."""

    def build(*answers):
        made = create_round(db, workspace.id, config={}, base_fingerprint="b")
        for case, row, answer, right in answers:
            part = "sentinel" if case == "general" else "new wordings"
            add_evaluation(
                db, made.id, case_id=case, row=row, answer=answer, right=right, slice=part
            )
        finish_round(db, made.id, state="done", verdict="promote")
        more = {"parent_id": None, "base_fingerprint": "b", "method": "lora"}
        return add_adapter(
            db, workspace.id, round_id=made.id, manifest_hash="m", metrics={}, **more
        ).id

    return build


def test_questions_kept_out_of_both_and_differences_first(db, judged, corrected):
    given = corrected("How long?", "45 days.", yes=True)
    other = add_paraphrase(db, given.id, "For how long?", author="user:1")
    one, two = str(given.id), f"{given.id}~p{other.id}"
    left = judged(
        (one, "candidate", "45 days.", True),
        (two, "candidate", "No.", False),
        (two, "base", "Hm.", False),
        ("999", "candidate", "Gone.", True),
        ("general", "candidate", "Paris.", True),
    )
    right = judged(
        (one, "candidate", "45 days!", True),
        (two, "candidate", "45 days.", True),
        ("general", "candidate", "Paris.", True),
    )
    found = side_by_side(db, left, right)
    assert [(row.question, row.left, row.right) for row in found] == [
        ("For how long?", "No.", "45 days."),
        ("How long?", "45 days.", "45 days!"),
    ]
    assert [(row.left_right, row.right_right) for row in found] == [(False, True), (True, True)]
    (base,) = side_by_side(db, None, left)
    assert (base.left, base.right) == ("Hm.", "No.")


@pytest.mark.parametrize("both", [(None, None), (1, 1)])
def test_one_alone_is_nothing_to_compare(db, judged, both):
    judged()
    with pytest.raises(BadInput, match="two different ones"):
        side_by_side(db, *both)
