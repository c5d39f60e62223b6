"""Paraphrases as typed."""

import pytest

from assistant.verbs import run_here
from storage.errors import BadInput, NotFound
from storage.workspaces import create_workspace
from tests.assistant.command_line import refusal, run_verb, write_rows


@pytest.fixture
def taught(apprentice, tmp_path):
    row = {"question": "Which orders are closed?", "correction": "select 1", "answer": "no"}
    apprentice("feedback", "import", write_rows(tmp_path / "rows.jsonl", row), "--approve")
    return apprentice


def test_added_listed_and_removed(taught):
    (made,) = taught.rows("feedback", "paraphrase", 1, "Closed orders, please")
    assert (made["paraphrase"], made["feedback"]) == (1, 1)
    (row,) = taught.rows("feedback", "paraphrases")
    assert (row["feedback"], row["question"]) == (1, "Closed orders, please")
    assert "Closed orders, please" in taught("feedback", "paraphrases")
    assert "removed" in taught("feedback", "paraphrase", "--remove", 1)
    assert "There is no paraphrase" in taught("feedback", "paraphrases")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((1, "which orders are closed"), "judges nothing new"),
        ((1, " "), "characters"),
        ((1,), "QUESTION"),
        ((), "QUESTION"),
        ((1, "x", "--remove", 1), "QUESTION"),
        ((7, "x"), "no feedback 7"),
        (("--remove", 7), "no paraphrase 7"),
    ],
)
def test_what_cannot_be_done_is_refused(taught, words, said):
    taught("feedback", "paraphrase", *words, code=2)
    assert said in refusal(taught)


def test_another_workspace_has_none_of_it(app, tmp_path):
    row = {"question": "Which orders?", "correction": "select 1", "answer": "no"}
    path = write_rows(tmp_path / "rows.jsonl", row)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with app.db() as db:
        create_workspace(db, "other")
    with pytest.raises(NotFound, match="'other'"):
        run_verb(app, "feedback paraphrase", workspace="other", id=1, question="x")
    run_verb(app, "feedback paraphrase", workspace="default", id=1, question="x")
    assert run_verb(app, "feedback paraphrases", workspace="other") == ([], 0)
    with pytest.raises(NotFound, match="'other'"):
        run_verb(app, "feedback paraphrase", workspace="other", remove=1)
    with pytest.raises(BadInput):
        list(run_here(app, "feedback paraphrase", {"workspace": "default"}))
