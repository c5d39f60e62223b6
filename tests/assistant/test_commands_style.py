"""`style import`: drafted requests wait for a person, given ones may be approved at once."""

from contextlib import closing

import pytest

from assistant.held_out import held_out_cases
from assistant.lessons import lessons
from assistant.verbs import run_here
from storage.feedback import list_feedback
from storage.pairs import approved_pairs
from storage.workspaces import set_workspace, workspace
from tests.assistant.command_line import refusal, run_verb, write_rows
from tuning.style import STYLE_GROUP, style_check

TEXTS = [f"Well, number {n}: we shall see what the tide brings in tonight." for n in range(20)]


def test_given_requests_are_approved_and_a_fifth_is_kept_back(app, tmp_path):
    rows = [{"prompt": f"Say {n}", "completion": text} for n, text in enumerate(TEXTS)]
    path = write_rows(tmp_path / "own.jsonl", *rows)
    (said,), code = run_verb(app, "style import", workspace="default", path=str(path), approve=True)
    assert (code, said["imported"], said["approved"], said["to_review"]) == (0, 20, 20, 0)
    db = app.db()
    pairs = approved_pairs(db, workspace(db, "default").id)
    assert {pair.chosen for pair in pairs} == set(TEXTS)
    assert all(pair.group.startswith(STYLE_GROUP) and pair.rejected is None for pair in pairs)
    found = lessons(app, db, workspace(db, "default"))
    assert 2 <= [one.split for one in found].count("new wordings") <= 4
    cases = held_out_cases(app, db, workspace(db, "default"), found, [{"type": "contains"}])
    taught = [one.pair.chosen for one in found if one.split == "train"]
    assert [case.check for case in cases] == [style_check(taught)] * len(cases)
    (again,), _ = run_verb(app, "style import", workspace="default", path=str(path), approve=True)
    assert (again["imported"], again["already_there"]) == (0, 20)


def test_drafted_requests_wait_for_a_review(app, tmp_path):
    (tmp_path / "own.txt").write_text(TEXTS[0] + "\n")
    (said,), _ = run_verb(
        app, "style import", workspace="default", path=str(tmp_path / "own.txt"), approve=True
    )
    assert (said["drafted"], said["approved"], said["to_review"]) == (1, 0, 1)
    db = app.db()
    (waiting,) = list_feedback(db, workspace(db, "default").id, status="new")
    assert waiting.correction == TEXTS[0]
    assert waiting.question.strip()


def imported(app, path):
    """Every event of an import with --approve, the warnings too."""
    arguments = {"workspace": "default", "path": str(path), "approve": True}
    return list(run_here(app, "style import", arguments))


def test_a_text_that_fails_the_workspaces_check_waits(app, tmp_path):
    with closing(app.db()) as db:
        set_workspace(db, "default", "checks", '[{"type": "contains", "all": ["tide"]}]')
    good = {"prompt": "Say it", "completion": TEXTS[0]}
    bad = {"prompt": "Say more", "completion": "We shall see what the wind brings in tonight."}
    path = write_rows(tmp_path / "own.jsonl", good, bad)
    events = imported(app, path)
    (said,) = [event for event in events if "imported" in event]
    assert (said["imported"], said["approved"], said["to_review"]) == (2, 1, 1)
    (warned,) = [event["warning"] for event in events if "warning" in event]
    assert "'Say more') stays new" in warned and "does not contain" in warned
    with closing(app.db()) as db:
        (waiting,) = list_feedback(db, workspace(db, "default").id, status="new")
    assert waiting.question == "Say more"


def test_another_text_for_the_same_request_is_said(app, tmp_path):
    rows = [{"prompt": "Say it", "completion": text} for text in TEXTS[:2]]
    path = write_rows(tmp_path / "own.jsonl", *rows)
    events = imported(app, path)
    warned = " ".join(event.get("warning", "") for event in events)
    assert "the same question was corrected differently" in warned


def test_nothing_is_imported_from_nothing(apprentice, tmp_path):
    (tmp_path / "empty").mkdir()
    apprentice("style", "import", tmp_path / "empty", code=2)
    assert "holds no text" in refusal(apprentice)


@pytest.mark.parametrize("words", [["style"], ["style", "import"]])
def test_the_verb_wants_a_path(apprentice, words):
    apprentice(*words, code=2)
    assert "required" in refusal(apprentice)
