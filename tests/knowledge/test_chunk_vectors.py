"""Vectors of chunks: written together, and made anew where the index lacks them."""

from pathlib import Path

import pytest

from knowledge.chunk_vectors import sync_index
from knowledge.dense_folder import FolderIndex
from knowledge.ingest import ingest
from knowledge.search import chunks_collection
from storage.documents import chunk_hashes, chunks_of, document_by_name, list_documents


class Written(FolderIndex):
    """A dense index that notes how many vectors each write had, and fails when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sizes: list[int] = []
        self.fault: BaseException | None = None

    def upsert(self, collection, ids, embeddings, hashes) -> None:
        if self.fault:
            raise self.fault
        self.sizes.append(len(ids))
        super().upsert(collection, ids, embeddings, hashes)


@pytest.fixture
def written(tmp_path):
    opened = Written(tmp_path / "written")
    yield opened
    opened.close()


@pytest.fixture
def many(tmp_path) -> Path:
    """A folder with 150 files of a chunk each, one in the middle that cannot be read."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        (folder / f"{number:03}.txt").write_text(f"Pump {number} stands in hall {number % 7}.")
    (folder / "070.txt").write_bytes(b"\xff\xfe\xff")
    return folder


def test_small_files_go_into_the_index_together(db, datadir, written, embedder, workspace, many):
    """And each event comes when its document is there, in the order of the files."""
    collection, names = chunks_collection(workspace.id, embedder), []
    for event in ingest(db, datadir, written, embedder, workspace.id, [many]):
        names.append(event.name)
        if event.status == "failed":
            assert event.name == "070.txt" and "UTF-8" in str(event.error)
            continue
        [chunk] = chunks_of(db, document_by_name(db, workspace.id, event.name).id)
        assert written.hashes(collection, among=[chunk.id]) == {chunk.id: chunk.hash}
        # what was read is in the index to the last, whoever stops here
        assert written.hashes(collection) == chunk_hashes(db, workspace.id)
        assert len(list_documents(db, workspace.id)) < len(names) + 64
    assert names == [f"{number:03}.txt" for number in range(150)]
    assert written.sizes == [64, 63, 22]


def test_what_the_index_does_not_take_fails_and_is_mended_later(
    db, datadir, written, embedder, workspace, docs, many
):
    list(ingest(db, datadir, written, embedder, workspace.id, [docs]))
    written.fault = OSError(28, "No space left on device")
    paths = [docs, many / "000.txt", many / "070.txt", many / "001.txt"]
    events = list(ingest(db, datadir, written, embedder, workspace.id, paths))
    assert [event.status for event in events] == ["unchanged"] * 5 + ["failed"] * 3
    assert "000.txt" in str(events[5].error) and "No space left" in str(events[5].error)
    assert "070.txt" in str(events[6].error) and "UTF-8" in str(events[6].error)
    written.fault = None
    assert sync_index(db, written, embedder, workspace.id) == 2
    collection = chunks_collection(workspace.id, embedder)
    assert written.hashes(collection) == chunk_hashes(db, workspace.id)


def test_a_process_that_ends_between_sqlite_and_the_index_is_mended(
    db, datadir, written, embedder, workspace, docs
):
    """Everything else of the batch is in SQLite by then, and passes for unchanged."""
    given = (db, datadir, written, embedder, workspace.id, [docs])
    written.fault = SystemExit(9)
    with pytest.raises(SystemExit):
        list(ingest(*given))
    written.fault = None
    collection = chunks_collection(workspace.id, embedder)
    assert written.hashes(collection) == {}
    assert {event.status for event in ingest(*given)} == {"unchanged"}
    assert sync_index(db, written, embedder, workspace.id) == 8
    assert written.hashes(collection) == chunk_hashes(db, workspace.id)
