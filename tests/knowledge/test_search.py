from collections.abc import Callable, Sequence
from functools import partial

import pytest

from knowledge.chunk_vectors import sync_index
from knowledge.search import chunks_collection, search
from storage.documents import put_document, remove_document
from storage.workspaces import create_workspace

TEXTS = [
    ("Returns", "Goods may be sent back within 30 days of delivery."),
    ("Returns > Costs", "We pay the postage for faulty goods only."),
    ("Errors", "E4711: the pump pressure is too low. Change the filter."),
    ("Errors", "E4712: the pump is too hot. Switch it off."),
    ("Opening hours", "The shop is open from Tuesday to Saturday."),
]


@pytest.fixture
def put(db, index, embedder) -> Callable[..., None]:
    """`put(workspace_id, name, chunks)`: a document that is in SQLite and in the index."""

    def save(workspace_id: int, name: str, chunks: Sequence[tuple[str, str]]) -> None:
        put_document(db, workspace_id, name=name, hash="h", media_type="text/plain", chunks=chunks)
        sync_index(db, index, embedder, workspace_id)

    return save


@pytest.fixture
def find(db, index, lexical, embedder, workspace):
    return partial(search, db, index, lexical, embedder, workspace.id)


def test_a_question_finds_its_passage_under_its_heading(find, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    found = find("How long may I return things?", top_k=2)
    assert len(found) == 2
    assert found[0].text == "Returns\nGoods may be sent back within 30 days of delivery."
    assert found[0].document == "shop.md"
    assert found[0].dense_rank == 1
    assert found[0].similarity > 0.5
    assert 0.6 <= found[0].score <= 1.000001
    assert found[0].score >= found[1].score


def test_a_code_is_found_by_its_letters(find, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    found = find("e4711")
    assert found[0].text.startswith("Errors\nE4711")
    assert found[0].lexical_rank == 1


def test_what_both_find_comes_before_what_one_finds(find, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    found = find("pump too hot", top_k=5)
    assert found[0].text.startswith("Errors\nE4712")
    both = [passage for passage in found if passage.dense_rank and passage.lexical_rank]
    assert found[: len(both)] == both


def test_relevance_is_half_similarity_half_words_in_common(find, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    [hit, *_] = find("Is the shop open on Tuesday?")
    assert hit.relevance == pytest.approx((hit.similarity + 1) / 2)
    [hit, *_] = find("Is the shop open on Monday?")  # a word that no document has counts most
    assert hit.text.startswith("Opening hours")
    assert hit.similarity / 2 < hit.relevance < (hit.similarity + 0.7) / 2
    [hit, *_] = find("Who is it?")  # no word that says something
    assert hit.relevance == pytest.approx(hit.similarity)


def test_every_hit_has_its_similarity_even_beyond_the_dense_candidates(find, workspace, put):
    near = [("", f"The pump number {n} moves water.") for n in range(40)]
    put(workspace.id, "pumps.md", [*near, ("", "Zylinderkopf water")])
    found = find("pump that moves Zylinderkopf", top_k=50)
    [hit] = [passage for passage in found if passage.text == "Zylinderkopf water"]
    assert hit.lexical_rank == 1
    assert all(passage.similarity is not None for passage in found)


def test_no_query_finds_nothing(find, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    for query, top_k in [("", 3), (" \n", 3), ("pump", 0)]:
        assert find(query, top_k=top_k) == []


@pytest.mark.parametrize("query", ['"', "NEAR(", "a AND NOT", "*", "🙂", "\ud800", "x" * 20_000])
def test_any_query_is_safe(find, workspace, put, query):
    put(workspace.id, "shop.md", TEXTS)
    assert len(find(query)) <= 3


def test_an_empty_workspace_has_no_passages(find):
    assert find("pump") == []


def test_a_removed_document_never_comes_back(find, db, index, embedder, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    put(workspace.id, "other.md", [("", "A pump lifts water.")])
    # as after a crash: gone from SQLite, its vectors still in the index
    gone = remove_document(db, workspace.id, "shop.md")
    assert set(gone) <= set(index.hashes(chunks_collection(workspace.id, embedder)))
    found = find("the pump is too hot", top_k=10)
    assert [(hit.document, hit.dense_rank, hit.lexical_rank) for hit in found] == [
        ("other.md", 1, 1)
    ]


def test_another_workspaces_chunks_never_come(find, db, index, embedder, workspace, put):
    other = create_workspace(db, "other").id
    put(workspace.id, "mine.md", [("", "My pump lifts water.")])
    put(other, "theirs.md", [("", "Their secret pump lifts oil.")])
    # even when the index claims that their chunk is mine
    collection = chunks_collection(workspace.id, embedder)
    [theirs] = index.hashes(chunks_collection(other, embedder))
    index.upsert(collection, [theirs], embedder.embed(["secret pump"]), ["h"])
    for query in ("secret pump", "oil"):
        found = find(query, top_k=10)
        assert [passage.document for passage in found] == ["mine.md"]


def test_while_the_index_is_empty_words_still_find(find, index, embedder, workspace, put):
    put(workspace.id, "shop.md", TEXTS)
    index.drop(chunks_collection(workspace.id, embedder))
    [hit] = find("filter")
    assert hit.text.startswith("Errors\nE4711")
    assert (hit.similarity, hit.dense_rank, hit.lexical_rank) == (None, None, 1)
    assert hit.relevance == 1
