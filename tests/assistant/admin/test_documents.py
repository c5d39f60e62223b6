"""The documents tab: files in, listed, out again; the work is a job that any page can watch."""

import time
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.documents import FILE_TYPES, DocumentsTab, stale_note
from assistant.admin.ingest_job import last_ingest
from assistant.security import may_administer
from knowledge.documents import MEDIA_TYPES
from storage.audit import list_audit
from storage.documents import list_documents


@pytest.fixture
def documents(tab):
    return tab(DocumentsTab)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def upload(office, documents, tmp_path, **files):
    """Files as the page leaves them, and the state of the tab when they are taken in."""
    folder = tmp_path / "uploads"
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(text)
        paths.append(path)
    press(office, documents.add, [str(path) for path in paths])
    end = time.monotonic() + 120
    with closing(office.app.db()) as db:
        while last_ingest(db, office.team.id).finished_at is None and time.monotonic() < end:
            time.sleep(0.05)
    return paths


def test_uploads_are_ingested_and_the_uploaded_copies_go(office, documents, tmp_path):
    paths = upload(
        office,
        documents,
        tmp_path,
        returns_md=b"# Returns\n\nWithin 45 days.",
        broken_pdf=b"no pdf",
    )
    shown = press(office, documents.show)
    assert "<td>returns.md</td><td>1</td>" in shown[documents.listed]
    assert "1 added" in shown[documents.state]
    assert 'role="alert"' in shown[documents.state] and "broken.pdf" in shown[documents.state]
    assert shown[documents.name]["choices"] == ["returns.md"]
    assert not any(path.exists() for path in paths)
    with closing(office.app.db()) as db:
        assert list_documents(db, office.team.id)[0].name == "returns.md"
        assert list_documents(db, 1) == []
        assert "documents uploaded" in {act.action for act in list_audit(db)}


def test_a_document_is_removed_after_a_second_yes(office, documents, tmp_path):
    upload(office, documents, tmp_path, returns_md=b"# Returns\n\nWithin 45 days.")
    asked = press(office, documents.ask, "returns.md")
    assert asked[documents.sure]["visible"] is True
    assert "returns.md" in asked[documents.question] and "passages: 1" in asked[documents.question]
    shown = press(office, documents.remove_it, "returns.md")
    assert shown[documents.sure]["visible"] is False
    assert "No documents yet" in shown[documents.listed]


def test_nothing_chosen_and_nothing_there_get_sentences(office, documents):
    with pytest.raises(gr.Error, match="Choose the document"):
        press(office, documents.ask, None)
    for work in (documents.ask, documents.remove_it):
        with pytest.raises(gr.Error, match="no document"):
            press(office, work, "other.md")
    assert press(office, documents.add, []) == gr.skip()


def test_a_document_of_another_workspace_cannot_be_removed_from_here(office, documents, tmp_path):
    upload(office, documents, tmp_path, returns_md=b"# Returns\n\nWithin 45 days.")
    with pytest.raises(gr.Error, match="no document"):
        press(office, documents.remove_it, "returns.md", workspace=1)


def test_a_watching_page_is_told_only_when_something_moved(office, documents, tmp_path):
    assert press(office, documents.watch, "") == gr.skip()
    upload(office, documents, tmp_path, returns_md=b"# Returns\n\nWithin 45 days.")
    seen = press(office, documents.watch, "")[documents.seen]
    assert press(office, documents.watch, seen) == gr.skip()


def test_the_page_offers_the_files_that_can_be_read():
    assert set(FILE_TYPES) <= set(MEDIA_TYPES)


def test_corrections_that_wait_for_a_decision_are_counted():
    assert stale_note(0) == ""
    assert "1 correction was made" in stale_note(1) and "3 corrections were" in stale_note(3)
