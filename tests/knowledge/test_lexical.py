import threading
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import open_database
from storage.documents import live_chunks, put_document, remove_document
from storage.workspaces import create_workspace


@pytest.fixture
def put(db, workspace):
    def build(name, *texts, workspace_id=workspace.id, heading=""):
        chunks = [(heading, text) for text in texts]
        put_document(db, workspace_id, name=name, hash="h", media_type="t", chunks=chunks)

    return build


@pytest.fixture
def texts(db, lexical, workspace):
    """What is found, as texts."""

    def ask(query, limit=5):
        found = lexical.query(db, workspace.id, query, limit)
        passages = live_chunks(db, workspace.id, [chunk_id for chunk_id, _ in found])
        return [passages[chunk_id].text for chunk_id, _ in found]

    return ask


def test_words_find_chunks_best_first(db, lexical, workspace, put, texts):
    put("a.md", "the order was closed", "closed orders of the month", "nothing of the kind")
    put("b.md", "closed orders", workspace_id=create_workspace(db, "other").id)
    found = texts("Closed orders this MONTH?")
    assert found == ["closed orders of the month", "the order was closed"]
    assert len(texts("closed", limit=1)) == 1
    assert texts("closed", limit=0) == []
    scores = [score for _, score in lexical.query(db, workspace.id, "closed orders month", 5)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_names_with_underscores_headings_and_accents_are_found(put, texts):
    put("a.md", "select * from sales_orders", "Le café est fermé")
    assert texts("sales_orders") == ["select * from sales_orders"]
    assert texts("cafe ferme") == ["Le café est fermé"]
    put("b.md", "seven days", heading="Returning goods")
    assert texts("return") == ["Returning goods\nseven days"]


def test_a_rare_word_counts_more_and_a_small_one_nothing(db, lexical, workspace, put):
    put("a.md", "the pumps", "a pump", "a pump and a filter", "doors")
    rarity = lexical.rarity(db, workspace.id, "Which of the pumps has a filter or a zeppelin?")
    assert rarity["zeppelin"] > rarity["filter"] > rarity["pump"] > 0
    assert len(rarity) == 3
    assert lexical.rarity(db, workspace.id, "who is it?") == {}


@pytest.mark.parametrize("query", ["", "   ", "?!*", '"', "\0", "\ud800", "()" * 50])
def test_a_query_without_words_finds_nothing(put, texts, query):
    put("a.md", "one")
    assert texts(query) == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=st.text(max_size=60) | st.text(alphabet='"*:^-+(){} ANDORNEAR\0text', max_size=40))
def test_no_query_is_syntax(texts, query):
    texts(query)


def test_a_query_of_ten_thousand_words_is_answered(put, texts):
    put("a.md", "word7 here")
    assert len(texts(" ".join(f"word{n}" for n in range(10_000)))) == 1


def test_it_follows_the_documents(db, workspace, put, texts):
    put("a.md", "apples", "pears")
    assert texts("apples pears") == ["apples", "pears"]
    put("a.md", "pears", "plums")
    assert sorted(texts("apples pears plums")) == ["pears", "plums"]
    assert texts("apples") == []
    remove_document(db, workspace.id, "a.md")
    assert texts("apples pears plums") == []
    put("a.md", "pears again")
    assert texts("pears") == ["pears again"]


def test_what_is_gone_makes_room_for_what_is_there(db, workspace, put, texts):
    put("old.md", *(f"pump {n}" for n in range(50)))
    put("new.md", "the pump that lifts water")
    assert len(texts("pump", limit=5)) == 5
    remove_document(db, workspace.id, "old.md")
    assert texts("pump", limit=5) == ["the pump that lifts water"]


def test_many_threads_find_what_is_there(datadir, lexical, workspace, put):
    put("a.md", *(f"pump number{n}" for n in range(200)))
    found = []

    def ask():
        with closing(open_database(datadir.database)) as db:
            for n in range(20):
                found.append(len(lexical.query(db, workspace.id, f"number{n}", 5)))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 120
