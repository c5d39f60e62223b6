import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from knowledge.chunk_vectors import sync_index
from knowledge.dense_folder import FolderIndex
from knowledge.ingest import (
    IngestEvent,
    forget_workspace,
    ingest,
    ingest_page,
    remove,
)
from knowledge.search import chunks_collection, search
from knowledge.site import Page
from knowledge.sources import stored_copy
from storage.database import one
from storage.documents import (
    chunk_hashes,
    chunks_of,
    document_by_name,
    list_documents,
)
from storage.errors import NotFound
from storage.workspaces import create_workspace
from tests.knowledge.files import encrypt_pdf, write_docx, write_pdf


@pytest.fixture
def take(db, datadir, index, embedder, workspace):
    """`take(path, ...)`: the events of one ingest."""

    def run(*paths: Path, **given) -> list[IngestEvent]:
        return list(ingest(db, datadir, index, embedder, workspace.id, paths, **given))

    return run


def statuses(events: list[IngestEvent]) -> dict[str, str]:
    return {event.name: event.status for event in events}


def test_a_folder_of_all_formats_goes_in_and_can_be_found(
    take, docs, db, index, lexical, embedder, workspace, datadir
):
    for name in ("warranty.md", "travel.md"):
        (docs / name).unlink()
    write_pdf(docs / "warranty.pdf", [[(20, "Warranty"), (11, "Two years for pumps.")]])
    write_docx(docs / "travel.docx")
    events = take(docs)
    assert statuses(events) == dict.fromkeys(
        ["note.txt", "returns.md", "sub/hours.html", "travel.docx", "warranty.pdf"], "added"
    )
    assert [event.chunks for event in events] == [1, 2, 1, 3, 1]
    assert [document.name for document in list_documents(db, workspace.id)] == sorted(
        event.name for event in events
    )
    for query, name in [
        ("When can I return goods?", "returns.md"),
        ("opening times", "sub/hours.html"),
        ("How long is the warranty of a pump?", "warranty.pdf"),
        ("What do I get a day in Austria?", "travel.docx"),
    ]:
        assert search(db, index, lexical, embedder, workspace.id, query)[0].document == name
    for name in statuses(events):
        assert stored_copy(datadir, workspace.id, name).read_bytes() == (docs / name).read_bytes()


def test_unchanged_is_skipped_changed_is_replaced_vanished_is_removed(
    take, docs, db, index, lexical, embedder, workspace, datadir
):
    take(docs)
    assert set(statuses(take(docs)).values()) == {"unchanged"}
    costs = chunks_of(db, document_by_name(db, workspace.id, "returns.md").id)[1]
    (docs / "returns.md").write_text("# Returns\n\nGoods go back in 60 days.\n\n## Costs\nFree.")
    (docs / "note.txt").unlink()
    changed = {
        name: status for name, status in statuses(take(docs)).items() if status != "unchanged"
    }
    assert changed == {"returns.md": "replaced", "note.txt": "removed"}
    found = search(db, index, lexical, embedder, workspace.id, "return goods days", top_k=9)
    assert "60 days" in str(found) and "30 days" not in str(found)
    assert lexical.query(db, workspace.id, "filter", 9) == []
    assert not stored_copy(datadir, workspace.id, "note.txt").exists()
    # what stayed the same keeps its id, and the index holds exactly what SQLite does
    assert costs in chunks_of(db, document_by_name(db, workspace.id, "returns.md").id)
    assert index.hashes(chunks_collection(workspace.id, embedder)) == chunk_hashes(db, workspace.id)
    assert sync_index(db, index, embedder, workspace.id) == 0


def test_another_chunk_size_cuts_anew(take, docs, db, workspace):
    (docs / "note.txt").write_text("The pump needs a new filter. " * 20)
    take(docs / "note.txt")
    [event] = take(docs / "note.txt", max_tokens=32, overlap=4)
    assert event.status == "replaced"
    assert event.chunks > 3
    assert document_by_name(db, workspace.id, "note.txt").chunk_count == event.chunks


def test_chunks_are_never_longer_than_the_embedder_reads(take, docs, embedder, db, workspace):
    (docs / "note.txt").write_text("The pump needs a new filter. " * 200)
    take(docs / "note.txt", max_tokens=5000)
    chunks = chunks_of(db, document_by_name(db, workspace.id, "note.txt").id)
    assert len(chunks) > 1
    assert max(embedder.count_tokens(chunk.text) for chunk in chunks) <= embedder.max_tokens


def test_files_given_alone_stay_when_they_vanish(take, docs, db, workspace):
    take(docs / "note.txt")
    (docs / "note.txt").unlink()
    take(docs)
    assert document_by_name(db, workspace.id, "note.txt").folder is None


def test_a_bad_file_says_why_and_the_others_go_in(take, docs, db, workspace):
    (docs / "empty.md").touch()
    (docs / "latin.txt").write_bytes("größer".encode("latin-1"))
    (docs / "garbage.pdf").write_bytes(os.urandom(3000))
    (docs / "picture.png").write_bytes(b"\x89PNG")
    (docs / ".hidden.md").write_text("# not mine")
    (docs / "~$travel.docx").write_bytes(b"lock file of an editor")
    encrypt_pdf(write_pdf(docs / "locked.pdf", [[(11, "x")]]), "pass")
    events = take(docs, docs / "missing.md")
    failed = {event.name: event.error for event in events if event.status == "failed"}
    assert set(failed) == {
        "empty.md",
        "latin.txt",
        "garbage.pdf",
        "picture.png",
        "locked.pdf",
        "missing.md",
    }
    assert all(name in error and error.endswith(".") for name, error in failed.items())
    assert len(list_documents(db, workspace.id)) == 5
    assert len(events) == 11


def test_a_file_that_became_unreadable_keeps_its_earlier_version(take, docs, db, workspace):
    take(docs)
    (docs / "warranty.md").write_bytes(b"# Warranty\n\xff\xfe\xff")
    assert statuses(take(docs))["warranty.md"] == "failed"
    assert document_by_name(db, workspace.id, "warranty.md").chunk_count == 1


def test_an_empty_folder_removes_nothing(take, docs, db, workspace):
    take(docs)
    for entry in docs.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    [event] = take(docs)
    assert (event.status, "holds no files" in str(event.error)) == ("failed", True)
    assert len(list_documents(db, workspace.id)) == 5


def test_two_files_of_one_name_do_not_replace_each_other(take, docs, tmp_path, db, workspace):
    other = tmp_path / "other"
    other.mkdir()
    (other / "note.txt").write_text("Something else.")
    events = take(docs, other)
    assert events[-1].status == "failed"
    assert "is taken by" in str(events[-1].error)
    [event] = take(other)
    assert f"from the folder {docs}" in str(event.error)


def test_a_folder_that_was_moved_is_followed(take, docs, tmp_path):
    take(docs)
    moved = Path(shutil.move(docs, tmp_path / "moved"))
    assert set(statuses(take(moved)).values()) == {"unchanged"}
    (moved / "note.txt").unlink()
    events = statuses(take(moved))
    assert events.pop("note.txt") == "removed"
    assert set(events.values()) == {"unchanged"}


def test_remove_removes_everything_of_a_document(
    take, docs, db, index, lexical, embedder, workspace, datadir
):
    take(docs)
    other = chunks_collection(workspace.id, embedder) + "-of-an-earlier-embedder"
    ids = list(index.hashes(chunks_collection(workspace.id, embedder)))
    index.upsert(other, ids, np.eye(len(ids), 8, dtype=np.float32) + 0.1, ["h"] * len(ids))
    gone = [chunk.id for chunk in chunks_of(db, document_by_name(db, workspace.id, "travel.md").id)]
    remove(db, datadir, index, workspace.id, "travel.md")
    for collection in (other, chunks_collection(workspace.id, embedder)):
        assert set(index.hashes(collection)) == set(ids) - set(gone)
    assert lexical.query(db, workspace.id, "Austria", 9) == []
    assert one(db, "select * from chunks where text like '%Austria%'") is None
    assert not stored_copy(datadir, workspace.id, "travel.md").exists()
    assert "travel.md" not in [document.name for document in list_documents(db, workspace.id)]
    with pytest.raises(NotFound):
        remove(db, datadir, index, workspace.id, "travel.md")


def test_a_workspace_leaves_nothing_behind(take, docs, db, index, embedder, workspace, datadir):
    other = create_workspace(db, "other").id
    take(docs)
    list(ingest(db, datadir, index, embedder, other, [docs / "note.txt"]))
    forget_workspace(datadir, index, workspace.id)
    assert index.collections() == [chunks_collection(other, embedder)]
    assert [entry.name for entry in datadir.documents.iterdir()] == [str(other)]


def test_stored_copies_lie_in_their_folder_whatever_the_name(datadir):
    names = ["../../etc/passwd.md", "a/b.md", "a-b.md", "ä" * 300 + ".md", "x\ud800.md", "A.MD"]
    copies = [stored_copy(datadir, 7, name) for name in names]
    assert len(set(copies)) == len(names)
    assert all(copy.parent == datadir.documents / "7" for copy in copies)
    assert all(len(copy.name) < 100 for copy in copies)


def hits(db, index, embedder, workspace_id: int) -> list[tuple[str, str, int | None, int | None]]:
    from knowledge.lexical import LexicalIndex

    lexical = LexicalIndex()
    return [
        (query, passage.text, passage.dense_rank, passage.lexical_rank)
        for query in ("return goods", "warranty of pumps", "when are you open", "Austria")
        for passage in search(db, index, lexical, embedder, workspace_id, query)
    ]


def wipe(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def truncate(folder: Path) -> None:
    for file in folder.rglob("*.*"):
        os.truncate(file, file.stat().st_size // 2)


def garbage(folder: Path) -> None:
    (folder / "chroma.sqlite3").write_bytes(os.urandom(50_000))


@pytest.mark.parametrize("damage", [shutil.rmtree, wipe, truncate, garbage])
def test_a_lost_index_comes_back_from_sqlite_with_the_same_hits(
    take, docs, db, index, lexical, embedder, workspace, datadir, damage
):
    take(docs)
    before = hits(db, index, embedder, workspace.id)
    assert {dense for _, _, dense, _ in before} == {1, 2, 3}
    index.close()
    damage(datadir.chroma)
    again = FolderIndex(datadir.chroma)
    assert again.hashes(chunks_collection(workspace.id, embedder)) == {}
    # until it is filled the words still find, and nothing fails
    assert search(db, again, lexical, embedder, workspace.id, "Austria")[0].document == "travel.md"
    seen = []
    filled = sync_index(
        db, again, embedder, workspace.id, on_progress=lambda *counts: seen.append(counts)
    )
    assert (filled, seen) == (8, [(8, 8)])
    assert hits(db, again, embedder, workspace.id) == before
    assert sync_index(db, again, embedder, workspace.id) == 0
    again.close()


def test_an_older_index_is_brought_up_to_date(
    take, docs, db, index, embedder, workspace, datadir, tmp_path
):
    take(docs / "returns.md", docs / "note.txt")
    index.close()
    shutil.copytree(datadir.chroma, tmp_path / "older")
    now = FolderIndex(datadir.chroma)
    remove(db, datadir, now, workspace.id, "note.txt")
    list(ingest(db, datadir, now, embedder, workspace.id, [docs]))
    before = hits(db, now, embedder, workspace.id)
    now.close()
    older = FolderIndex(tmp_path / "older")
    assert sync_index(db, older, embedder, workspace.id) == 6
    assert hits(db, older, embedder, workspace.id) == before
    older.close()


def test_a_vector_of_another_text_is_replaced(take, docs, db, index, embedder, workspace):
    take(docs)
    collection = chunks_collection(workspace.id, embedder)
    before = hits(db, index, embedder, workspace.id)
    [*_, last] = index.hashes(collection)
    index.upsert(collection, [last], embedder.embed(["return goods"]), ["hash of another text"])
    index.upsert(collection, [999], embedder.embed(["return goods"]), ["of a chunk long gone"])
    assert sync_index(db, index, embedder, workspace.id) == 1
    assert index.hashes(collection) == chunk_hashes(db, workspace.id)
    assert hits(db, index, embedder, workspace.id) == before


def test_a_reader_who_stops_half_way_loses_nothing(
    docs, db, datadir, index, embedder, workspace, take
):
    events = ingest(db, datadir, index, embedder, workspace.id, [docs])
    next(events)
    events.close()
    assert index.hashes(chunks_collection(workspace.id, embedder)) == chunk_hashes(db, workspace.id)
    assert sorted(statuses(take(docs)).values()) == ["unchanged"] * 5
    assert not list(datadir.documents.rglob(".draft-*"))


def test_a_page_is_a_document_with_its_address(db, datadir, index, lexical, embedder, workspace):
    """Its name ends as its address does, which says nothing of its type."""

    def take(name, text, **more):
        page = Page(f"https://{name}", name, ".html", text, **{"etag": None} | more)
        return ingest_page(db, datadir, index, embedder, workspace.id, page)

    text = b"<title>Hours</title><p>Open from nine to five.</p>"
    for name in ("a.example/hours", "a.example/v1.2?q=." + "x" * 300, "a.example/"):
        event = take(name, text, etag='"1"', last_modified=None)
        assert (event.status, event.chunks) == ("added", 1), event.error
        document = document_by_name(db, workspace.id, name)
        assert (document.source_url, document.folder) == (f"https://{name}", "https://a.example")
        assert (document.media_type, document.etag) == ("text/html", '"1"')
        assert stored_copy(datadir, workspace.id, name).read_bytes() == text
    found = search(db, index, lexical, embedder, workspace.id, "opening hours")
    assert found[0].text.startswith("Hours") and found[0].source_url
    assert take("a.example/", b"<!-- noon -->" + text, last_modified="x").status == "unchanged"
    assert document_by_name(db, workspace.id, "a.example/").last_modified == "x"
    assert take("a.example/", b"<nav>Home</nav>", last_modified="y").status == "failed"
    assert document_by_name(db, workspace.id, "a.example/").last_modified == "x"
