"""Documents as typed: in, listed, found, out, and the index made again."""

import shutil

import pytest

from assistant.app import open_app
from storage.errors import BadInput, NotFound
from tests.assistant.command_line import refusal, run_verb


@pytest.fixture
def handbook(tmp_path):
    """A folder with two short documents."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "returns.md").write_text("# Returns\n\nGoods may be returned within 30 days.\n")
    (folder / "warranty.txt").write_text("The warranty of a sail lasts two years.\n")
    return folder


def ingest(app, *paths):
    return run_verb(app, "ingest", workspace="default", paths=[str(path) for path in paths])


def found(app, query, **options):
    results, _ = run_verb(app, "search", workspace="default", query=query, **options)
    return [result["document"] for result in results]


def test_what_has_not_changed_is_skipped(app, handbook):
    results, code = ingest(app, handbook)
    assert code == 0 and {row["status"] for row in results} == {"added"}
    (handbook / "returns.md").write_text("# Returns\n\nGoods may be returned within 60 days.\n")
    statuses = {row["document"]: row["status"] for row in ingest(app, handbook)[0]}
    assert statuses == {"returns.md": "replaced", "warranty.txt": "unchanged"}
    listed, _ = run_verb(app, "documents list", workspace="default")
    assert [(row["name"], row["chunks"]) for row in listed] == [
        ("returns.md", 1),
        ("warranty.txt", 1),
    ]


def test_a_document_is_shown_as_it_was_cut(app, handbook):
    ingest(app, handbook)
    (row,), _ = run_verb(app, "documents show", workspace="default", name="returns.md")
    assert (row["heading"], row["position"]) == ("Returns", 0)
    assert row["text"] == "Goods may be returned within 30 days."
    with pytest.raises(NotFound, match="no document 'b.md'"):
        run_verb(app, "documents show", workspace="default", name="b.md")


def test_passages_have_what_the_contract_says(app, handbook):
    ingest(app, handbook)
    results, _ = run_verb(app, "search", workspace="default", query="how long is the warranty")
    assert results[0]["document"] == "warranty.txt"
    assert results[0].keys() >= {
        "document",
        "chunk_id",
        "text",
        "score",
        "dense_rank",
        "lexical_rank",
    }
    assert found(app, "warranty", top_k=1) == ["warranty.txt"]
    (answer,), _ = run_verb(
        app, "ask", workspace="default", question="How long is the warranty?", max_tokens=2
    )
    assert answer["sources"][0]["document"] == "warranty.txt"


def test_removed_document_is_found_no_more(app, handbook):
    ingest(app, handbook)
    with pytest.raises(NotFound, match=r"nothing\.md"):
        run_verb(app, "documents remove", workspace="default", names=["returns.md", "nothing.md"])
    assert len(run_verb(app, "documents list", workspace="default")[0]) == 2
    run_verb(app, "documents remove", workspace="default", names=["warranty.txt"])
    assert found(app, "warranty") == ["returns.md"]


def test_lost_index_is_made_again(settings, handbook):
    with open_app(settings) as app:
        ingest(app, handbook)
    for verb in ("search", "reindex"):
        shutil.rmtree(settings.data / "chroma")
        with open_app(settings) as app:
            if verb == "reindex":
                assert run_verb(app, "documents reindex", workspace="default")[0][0]["chunks"] == 2
            assert found(app, "how long is the warranty")[0] == "warranty.txt"
            ((state,), _) = run_verb(app, "doctor index")
            assert (state["missing"], state["stale"]) == (0, 0)


def test_index_that_lags_behind_is_seen(app, handbook):
    ingest(app, handbook)
    app.index.drop(app.index.collections()[0])
    ((state,), _) = run_verb(app, "doctor index")
    assert state == {"workspace": "default", "chunks": 2, "missing": 2, "stale": 0}
    ingest(app, handbook)  # nothing has changed, but what is missing comes back
    assert run_verb(app, "doctor index")[0][0]["missing"] == 0


def test_one_unreadable_file_among_others(app, handbook):
    (handbook / "empty.pdf").write_bytes(b"")
    results, code = ingest(app, handbook)
    assert code == 1
    (failed,) = [row for row in results if row["status"] == "failed"]
    assert failed["document"] == "empty.pdf" and failed["error"]


def test_nothing_but_unreadable_files(app, tmp_path):
    (tmp_path / "a.xyz").write_text("?")
    with pytest.raises(BadInput, match=r"Nothing was taken in.*a\.xyz"):
        ingest(app, tmp_path / "a.xyz")


def test_path_that_does_not_exist(app, handbook):
    with pytest.raises(BadInput, match="/no/such/file"):
        ingest(app, handbook, "/no/such/file")
    assert run_verb(app, "documents list", workspace="default")[0] == []


def test_search_without_documents_says_so(apprentice):
    assert apprentice("search", "warranty", "--json").strip() == "[]"
    assert "ingest" in apprentice.said


def test_empty_query(app):
    with pytest.raises(BadInput, match="empty"):
        run_verb(app, "search", workspace="default", query=" ")


def test_deleted_workspace_takes_its_documents_along(app, handbook):
    run_verb(app, "workspaces create", name="sales", access="public", instructions="")
    run_verb(app, "ingest", workspace="sales", paths=[str(handbook)])
    assert len(list(app.datadir.documents.rglob("*.txt"))) == 1
    run_verb(app, "workspaces delete", name="sales")
    assert list(app.datadir.documents.rglob("*.txt")) == []
    assert app.index.collections() == []


def test_what_ray_is_for(apprentice, handbook):
    for words in (["--workers", 2, handbook], ["--site", "https://x.example", "--runner", "ray"]):
        apprentice("ingest", *words, code=2)
        assert "--runner" in refusal(apprentice)
    assert apprentice.rows("documents", "list") == []


def test_a_server_away_is_said_and_words_find(apprentice, handbook, monkeypatch):
    apprentice("ingest", handbook)
    monkeypatch.setenv("APPRENTICE_CHROMA_URL", "http://127.0.0.1:9")
    (hits,) = apprentice.rows("search", "warranty")
    assert hits[0]["document"] == "warranty.txt" and "does not answer" in apprentice.said
    apprentice("ingest", handbook, code=2)
    assert "http://127.0.0.1:9 does not answer" in apprentice.said
