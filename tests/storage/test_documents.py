import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import one
from storage.documents import (
    chunk_hash,
    chunk_hashes,
    chunks_of,
    document_by_name,
    lexical_search,
    list_documents,
    live_chunks,
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
    assert lexical_search(db, workspace.id, "apples", 5) == []
    with pytest.raises(NotFound):
        remove_document(db, workspace.id, "a.md")


def _texts(db, workspace, query, limit=5):
    found = lexical_search(db, workspace.id, query, limit)
    passages = live_chunks(db, workspace.id, [chunk_id for chunk_id, _ in found])
    return [passages[chunk_id].text for chunk_id, _ in found]


def test_words_find_chunks_best_first(db, workspace, put):
    put("a.md", "the order was closed", "closed orders of the month", "nothing of the kind")
    put("b.md", "closed orders", workspace_id=create_workspace(db, "other").id)
    found = _texts(db, workspace, "Closed orders this MONTH?")
    assert found == ["closed orders of the month", "the order was closed"]
    assert _texts(db, workspace, "closed", limit=1) == ["the order was closed"]
    scores = [score for _, score in lexical_search(db, workspace.id, "closed orders month", 5)]
    assert scores == sorted(scores)


def test_names_with_underscores_headings_and_accents_are_found(db, workspace, put):
    put("a.md", "select * from sales_orders", "Le café est fermé")
    assert _texts(db, workspace, "sales_orders") == ["select * from sales_orders"]
    assert _texts(db, workspace, "cafe ferme") == ["Le café est fermé"]
    put("b.md", "seven days", heading="Returning goods")
    assert _texts(db, workspace, "return") == ["Returning goods\nseven days"]


@pytest.mark.parametrize("query", ["", "   ", "?!*", '"', "\0", "\ud800", "()" * 50])
def test_a_query_without_words_finds_nothing(db, workspace, put, query):
    put("a.md", "one")
    assert lexical_search(db, workspace.id, query, 5) == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.text(max_size=60) | st.text(alphabet='"*:^-+(){} ANDORNEAR\0text', max_size=40))
def test_no_query_is_syntax(db, workspace, query):
    lexical_search(db, workspace.id, query, 5)


def test_a_query_of_ten_thousand_words_is_answered(db, workspace, put):
    put("a.md", "word7 here")
    query = " ".join(f"word{n}" for n in range(10_000))
    assert len(lexical_search(db, workspace.id, query, 5)) == 1


def test_the_index_follows_the_chunks(db, workspace, put):
    put("a.md", "apples", "pears")
    put("a.md", "pears", "plums")
    counts = {
        word: one(db, "select count(*) as count from chunks_fts where chunks_fts match ?", word)[
            "count"
        ]
        for word in ("apples", "pears", "plums")
    }
    assert counts == {"apples": 0, "pears": 1, "plums": 1}
    db.conn.execute("insert into chunks_fts(chunks_fts, rank) values ('integrity-check', 1)")


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
