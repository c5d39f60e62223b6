import pytest

from storage.documents import (
    chunk_hash,
    chunk_hashes,
    chunk_ids,
    chunk_texts,
    chunks_of,
    document_by_name,
    documents_of,
    list_documents,
    live_chunks,
    newest_chunk,
    put_document,
    remove_document,
)
from storage.errors import NotFound
from storage.workspaces import create_workspace


@pytest.fixture
def put(db, workspace):
    def build(name, *texts, workspace_id=workspace.id, heading="", **fields):
        chunks = [(heading, text) for text in texts]
        known = {"hash": "h", "media_type": "text/markdown"} | fields
        return put_document(db, workspace_id, name=name, chunks=chunks, **known)

    return build


def test_a_document_is_found_by_name(db, workspace, put):
    document = put("a.md", "one", "two", source_url="https://example.com/a")
    assert document == document_by_name(db, workspace.id, "a.md")
    assert (document.chunk_count, document.source_url) == (2, "https://example.com/a")
    put("0.md")
    assert [known.name for known in list_documents(db, workspace.id)] == ["0.md", "a.md"]
    other = create_workspace(db, "other").id
    assert list_documents(db, other) == []
    with pytest.raises(NotFound, match="no document 'a.md'.*documents list"):
        document_by_name(db, other, "a.md")


def test_what_has_not_changed_keeps_its_id(db, put):
    first = put("a.md", "one", "two", "three", "two")
    before = {chunk.id: chunk.text for chunk in chunks_of(db, first.id)}
    second = put("a.md", "zero", "two", "one", hash="h2")
    assert (second.id, second.hash, second.chunk_count) == (first.id, "h2", 3)
    after = chunks_of(db, second.id)
    assert [(chunk.position, chunk.text) for chunk in after] == [
        (0, "zero"),
        (1, "two"),
        (2, "one"),
    ]
    assert before[after[1].id] == "two"
    assert before[after[2].id] == "one"
    assert after[0].id not in before


def test_the_folder_it_came_with_is_remembered(put):
    assert put("a.md", "one", folder="/srv/handbook").folder == "/srv/handbook"
    assert put("a.md", "two").folder == "/srv/handbook"
    assert put("b.md", "one").folder is None


def test_the_hash_of_a_chunk_covers_its_heading(db, workspace, put):
    put("a.md", "one", heading="Heading")
    assert list(chunk_hashes(db, workspace.id).values()) == [chunk_hash("Heading", "one")]
    assert chunk_hash("a", "b") != chunk_hash("", "a b")
    assert chunk_hash("a", "b\0") == chunk_hash("a", "b")


def test_only_live_chunks_of_this_workspace_come_back(db, workspace, put):
    document = put("a.md", "one", "two", source_url="https://example.com")
    kept, gone = chunks_of(db, document.id)
    put("a.md", "one", source_url="https://example.com")
    theirs = put("b.md", "secret", workspace_id=create_workspace(db, "other").id)
    secret = chunks_of(db, theirs.id)[0]
    found = live_chunks(db, workspace.id, [gone.id, secret.id, kept.id, 999])
    assert list(found) == [kept.id]
    passage = found[kept.id]
    assert (passage.document, passage.text, passage.hash) == ("a.md", "one", kept.hash)
    assert (passage.document_id, passage.source_url) == (document.id, "https://example.com")
    assert live_chunks(db, workspace.id, []) == {}
    assert len(live_chunks(db, workspace.id, range(50_000))) == 1


def test_removing_says_which_chunks_are_gone(db, workspace, put):
    ids = [chunk.id for chunk in chunks_of(db, put("a.md", "apples", "pears").id)]
    assert remove_document(db, workspace.id, "a.md") == ids
    assert chunk_hashes(db, workspace.id) == {}
    with pytest.raises(NotFound):
        remove_document(db, workspace.id, "a.md")


def test_chunks_newer_than_one_that_is_known(db, workspace, put):
    assert newest_chunk(db, workspace.id) == 0
    put("a.md", "apples", "pears")
    known = newest_chunk(db, workspace.id)
    put("b.md", "plums", heading="Fruit")
    put("c.md", "figs", workspace_id=create_workspace(db, "other").id)
    texts = [text for _, text in chunk_texts(db, workspace.id)]
    assert texts == ["apples", "pears", "Fruit\nplums"]
    [(newest, text)] = chunk_texts(db, workspace.id, after=known)
    assert (newest, text) == (newest_chunk(db, workspace.id), "Fruit\nplums")
    assert chunk_ids(db, workspace.id, among=[known, newest, 999]) == {known, newest}
    assert len(chunk_ids(db, workspace.id)) == 3


def test_the_documents_of_chunks(db, put):
    first, other = put("a.md", "apples", "pears"), put("b.md", "plums")
    ids = [chunk.id for document in (first, other) for chunk in chunks_of(db, document.id)]
    assert documents_of(db, [*ids, 999]) == [first.id, other.id]
    assert documents_of(db, ids[:2]) == [first.id]


def test_a_failed_replacement_leaves_the_old_one(db, workspace, put):
    document = put("a.md", "one", "two")
    before = chunks_of(db, document.id)
    with pytest.raises(TypeError):
        put_document(
            *(db, workspace.id),
            name="a.md",
            hash="h2",
            media_type="t",
            chunks=[("", "new"), ("", None)],
        )
    assert chunks_of(db, document.id) == before
    assert document_by_name(db, workspace.id, "a.md") == document
