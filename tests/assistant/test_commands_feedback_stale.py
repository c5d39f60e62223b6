"""Documents change under corrections: told at ingest, listed, kept, edited or dropped."""

from contextlib import closing

import pytest

from assistant.verbs import run_here
from storage.errors import NotFound, Refused
from storage.feedback import list_feedback
from storage.pairs import approved_pairs
from tests.assistant.command_line import run_verb, write_rows

OLD = "# Returns\n\nGoods may be returned within 30 days. Keep the bill.\n"
NEW = OLD.replace("30", "45")
QUESTION = "When may goods be returned?"


def warnings(app, name, **arguments):
    return [event["warning"] for event in run_here(app, name, arguments) if "warning" in event]


def ingest(app, path):
    return warnings(app, "ingest", workspace="default", paths=[str(path)])


def listed(app):
    return run_verb(app, "feedback stale", workspace="default")[0]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "returns.md"
    path.write_text(OLD)
    return path


@pytest.fixture
def taught(app, page, tmp_path):
    """A correction approved while the page said 30 days."""
    assert ingest(app, page) == []
    row = {"question": QUESTION, "answer": "Never.", "correction": "Within 30 days."}
    path = write_rows(tmp_path / "rows.jsonl", row)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with closing(app.db()) as db:
        return list_feedback(db, 1)[0].id


def shown(app):
    with closing(app.db()) as db:
        return approved_pairs(db, 1)[0]


def test_ingest_tells_and_the_list_shows_the_difference(app, page, taught):
    assert listed(app) == []
    page.write_text(NEW)
    assert ingest(app, page) == [
        "1 correction was made from passages that changed: `apprentice feedback stale`."
    ]
    (row,) = listed(app)
    assert (row["feedback"], row["document"], row["removed"]) == (taught, "returns.md", False)
    assert "within [-30-]{+45+} days" in row["diff"]
    assert row["was"].endswith("30 days. Keep the bill.") and "45 days" in row["now"]
    # it trains and answers as before until somebody decides
    assert shown(app).chosen == "Within 30 days."
    assert "30 days" in shown(app).inputs.passages[0].text
    assert ingest(app, page) == []


def test_kept_until_the_page_changes_again(app, page, taught):
    page.write_text(NEW)
    ingest(app, page)
    results, _ = run_verb(app, "feedback keep", workspace="default", ids=[taught])
    assert results == [{"feedback": taught, "kept": True, "passages": 1}]
    assert listed(app) == []
    with pytest.raises(Refused, match="not stale"):
        run_verb(app, "feedback keep", workspace="default", ids=[taught])
    page.write_text(OLD.replace("30", "60"))
    assert len(ingest(app, page)) == 1
    assert [row["feedback"] for row in listed(app)] == [taught]


def test_edited_pair_is_taught_with_the_new_page(app, page, taught):
    page.write_text(NEW)
    ingest(app, page)
    edit = {"ids": [taught], "correction": "Within 45 days."}
    run_verb(app, "feedback approve", workspace="default", **edit)
    assert listed(app) == []
    assert shown(app).chosen == "Within 45 days."
    assert "45 days" in shown(app).inputs.passages[0].text


def test_dropped(app, page, taught):
    page.write_text(NEW)
    ingest(app, page)
    run_verb(app, "feedback reject", workspace="default", ids=[taught])
    assert listed(app) == []


def test_a_removed_document_is_told_too(app, taught):
    said = warnings(app, "documents remove", workspace="default", names=["returns.md"])
    assert len(said) == 1 and "passages that changed" in said[0]
    (row,) = listed(app)
    assert row["removed"] and row["now"] == "" and row["diff"].startswith("[-Returns")


def test_all_or_none_and_only_ones_own(app, page, taught):
    page.write_text(NEW)
    ingest(app, page)
    with pytest.raises(NotFound, match="99"):
        run_verb(app, "feedback keep", workspace="default", ids=[taught, 99])
    run_verb(app, "workspaces create", name="sales", access="members", instructions="")
    with pytest.raises(NotFound, match="sales"):
        run_verb(app, "feedback keep", workspace="sales", ids=[taught])
    assert [row["feedback"] for row in listed(app)] == [taught]
    assert run_verb(app, "feedback stale", workspace="sales")[0] == []


def test_printed_for_a_person(apprentice, page, tmp_path):
    apprentice("ingest", page)
    row = {"question": QUESTION, "answer": "Never.", "correction": "Within 30 days."}
    apprentice("feedback", "stale")
    assert "no correction" in apprentice.said
    apprentice("feedback", "import", write_rows(tmp_path / "rows.jsonl", row), "--approve")
    page.write_text(NEW)
    apprentice("ingest", page)
    assert "apprentice feedback stale" in apprentice.said
    out = apprentice("feedback", "stale")
    assert "returns.md has changed" in out and "[-30-]{+45+}" in out
    assert "kept as it is" in apprentice("feedback", "keep", "1")
