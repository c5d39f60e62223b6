"""Uploads as jobs: how they end, whatever happens."""

from contextlib import closing

import pytest

from assistant.admin.ingest_job import last_ingest, start_ingest, start_reindex
from knowledge.search import chunks_collection
from storage import jobs
from storage.documents import list_documents
from storage.errors import Refused


def finished(office, files):
    start_ingest(office.app, office.team, files)
    return office.ended(last_ingest)


def test_each_file_counts_and_the_same_again_is_unchanged(office, tmp_path):
    def files():
        for name in ("a.md", "b.txt"):
            (tmp_path / name).write_text(f"# {name}\n\nSome text about returns.")
        return [tmp_path / "a.md", tmp_path / "b.txt"]

    first = finished(office, files())
    assert (first.state, first.progress, first.note) == ("done", 1.0, "2 added")
    assert finished(office, files()).note == "2 unchanged"


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_taken(office, tmp_path):
    good, bad = tmp_path / "good.md", tmp_path / "bad.docx"
    good.write_text("# Good\n\nText.")
    bad.write_bytes(b"not a document")
    done = finished(office, [bad, good])
    assert done.state == "done"
    assert "bad.docx" in done.error
    with closing(office.app.db()) as db:
        assert [item.name for item in list_documents(db, office.team.id)] == ["good.md"]


def test_the_index_is_made_anew_but_not_while_files_are_read(office, tmp_path):
    (tmp_path / "a.md").write_text("# A\n\nSome text about returns.")
    finished(office, [tmp_path / "a.md"])
    collection = chunks_collection(office.team.id, office.app.embedder)
    before = office.app.index.hashes(collection)
    office.app.index.drop(collection)
    with closing(office.app.db()) as db:
        reading = jobs.create_job(db, "ingest", office.team.id)
        with pytest.raises(Refused, match="wait for the end"):
            start_reindex(office.app, office.team)
        jobs.finish_job(db, reading.id, "done")
    start_reindex(office.app, office.team)
    assert office.ended(last_ingest).state == "done"
    assert before and office.app.index.hashes(collection) == before


@pytest.mark.parametrize("exists", [True, False])
def test_a_fault_ends_the_job_and_takes_the_uploads_away(office, tmp_path, monkeypatch, exists):
    path = tmp_path / "a.md"
    if exists:
        path.write_text("# A\n\nText.")
    monkeypatch.setattr(type(office.app), "index", property(lambda app: 1 / 0))
    failed = finished(office, [path])
    assert failed.state == "failed"
    assert "ZeroDivisionError" in failed.error
    assert not path.exists()
