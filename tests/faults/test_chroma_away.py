"""The Chroma server killed, away, emptied: nothing acknowledged is lost, and replies go on.

The vectors are made again from the database, so that what is found is what was found before.
"""

import threading
import time
from contextlib import closing, contextmanager

import pytest

from assistant.app import open_app
from assistant.cli import main
from assistant.refilling import fill_index, refill_lost
from assistant.retrieval import AWAY, REBUILDING
from knowledge import dense_server
from knowledge.chroma_place import IndexAway
from knowledge.embedding import Embedder
from knowledge.ingest import ingest, remove
from knowledge.search import chunks_collection
from storage.backup import make_backup
from storage.datadir import DataDir
from storage.documents import chunk_hashes, list_documents
from storage.workspaces import create_workspace, set_workspace
from storage.workspaces import workspace as workspace_named
from tests.assistant.command_line import run_verb
from tests.chroma_server import ChromaServer
from tests.faults.test_lost_index import answered, found, shop

DOCUMENTS = 14
EACH_TURN = 200


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Nobody waits long for a server that a test has killed for good."""
    monkeypatch.setattr(dense_server, "PATIENCE_S", 0.5)
    monkeypatch.setattr(dense_server, "REST_S", 0.3)


@pytest.fixture(scope="module")
def opened():
    """`opened(settings, server)`: an app; all have one embedder, which takes a second to load."""
    with closing(Embedder()) as embedder:

        @contextmanager
        def app(settings, url=""):
            with open_app(settings.model_copy(update={"chroma_url": url})) as made:
                made._parts["embedder"] = embedder
                yield made

        yield app


@pytest.fixture
def server(tmp_path):
    made = ChromaServer(tmp_path / "chroma-server")
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def away(settings, server, opened):
    """An app whose vectors are on `server`, and its default workspace."""
    with opened(settings, server.url) as app, closing(app.db()) as db:
        yield app, workspace_named(db, "default")


def taken_in(app, workspace, folder):
    with closing(app.db()) as db:
        return list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, [folder]))


def is_whole(app, workspace) -> bool:
    with closing(app.db()) as db:
        collection = chunks_collection(workspace.id, app.embedder)
        return app.index.hashes(collection) == chunk_hashes(db, workspace.id)


def alike(one, other) -> bool:
    """The same passages; a score's sixth place depends on which texts were embedded together."""
    assert one.keys() == other.keys()
    for question, hits in one.items():
        assert [id for id, _ in hits] == [id for id, _ in other[question]], question
        assert dict(hits) == pytest.approx(dict(other[question]), abs=1e-4)
    return True


def wait_until_whole(app, workspace):
    deadline = time.monotonic() + 60
    while app.index.rebuilt or {AWAY, REBUILDING} & {*answered(app, workspace)[0]}:
        refill_lost(app)  # the server looks every five seconds
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert is_whole(app, workspace)


def test_what_is_found_is_what_the_folder_finds(settings, server, tmp_path, opened):
    """One data directory, and then the other kind of index."""
    with opened(settings) as app, closing(app.db()) as db:
        workspace = shop(app, workspace_named(db, "default"), tmp_path / "shop", DOCUMENTS)
        before = found(app, workspace)
    with opened(settings, server.url) as app:
        fill_index(app)
        assert alike(found(app, workspace), before) and is_whole(app, workspace)


def test_killed_in_the_middle_of_adding(away, server, tmp_path):
    """Each killing ends the ingest with one sentence; begun again, it goes on."""
    app, workspace = away
    workspace = shop(app, workspace, tmp_path / "shop", DOCUMENTS)
    before = found(app, workspace)
    folder = tmp_path / "more"
    folder.mkdir()
    acknowledged: set[str] = set()
    for turn in range(3):
        for number in range(EACH_TURN):
            shed = f"Shed {turn} {number} stands in field {number * 7}."
            (folder / f"{turn}-{number}.txt").write_text(shed)
        killer = threading.Timer(0.02 * turn, server.kill)
        with closing(app.db()) as db, pytest.raises(IndexAway, match=server.url):
            given = (db, app.datadir, app.index, app.embedder, workspace.id, [folder])
            for event in ingest(*given):
                if event.status in ("added", "unchanged"):
                    acknowledged.add(event.name)
                if event.status == "added" and not killer.ident:
                    killer.start()
        killer.join()
        server.start()
        assert app.index.answers()
        fill_index(app)
    assert acknowledged
    assert {event.status for event in taken_in(app, workspace, folder)} <= {"added", "unchanged"}
    assert is_whole(app, workspace)
    with closing(app.db()) as db:
        names = [one.name for one in list_documents(db, workspace.id)]
    assert len(names) == len(set(names)) == DOCUMENTS + 3 * EACH_TURN and acknowledged <= set(names)
    assert found(app, workspace).keys() == before.keys()


def test_an_ingest_outlives_a_restart(away, server, tmp_path, monkeypatch):
    monkeypatch.setattr(dense_server, "PATIENCE_S", 30.0)
    app, workspace = away
    shop(app, workspace, tmp_path / "shop", 10)
    server.kill()
    again = threading.Timer(1.0, server.start)
    again.start()
    (tmp_path / "note.txt").write_text("The pump needs a new filter.")
    assert [event.status for event in taken_in(app, workspace, tmp_path / "note.txt")] == ["added"]
    again.join()
    assert is_whole(app, workspace)


def test_killed_while_it_is_searched(away, server, tmp_path):
    app, workspace = away
    workspace = shop(app, workspace, tmp_path / "shop", DOCUMENTS)
    before, whole = found(app, workspace), answered(app, workspace)
    assert not {AWAY, REBUILDING} & {*whole[0]}
    faults: list[BaseException] = []
    over = threading.Event()

    def ask() -> None:
        try:
            while not over.is_set():
                assert all(found(app, workspace).values())
        except BaseException as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    server.kill()
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join()
    assert not faults
    notices, passages = answered(app, workspace)
    assert AWAY in notices and passages
    server.start()
    wait_until_whole(app, workspace)
    assert alike(found(app, workspace), before)
    assert [one.chunk_id for one in answered(app, workspace)[1]] == [
        one.chunk_id for one in whole[1]
    ]


def test_a_start_without_the_server_and_a_server_without_its_data(
    settings, server, tmp_path, opened
):
    with opened(settings, server.url) as app, closing(app.db()) as db:
        workspace = shop(app, workspace_named(db, "default"), tmp_path / "shop", 10)
        whole = answered(app, workspace)
    server.kill()
    with opened(settings, server.url) as app:
        with pytest.raises(IndexAway):
            fill_index(app)
        notices, passages = answered(app, workspace)
        assert AWAY in notices and passages
        (hit,) = run_verb(app, "search", workspace="default", query="kiln in Cork", top_k=1)[0]
        assert "Cork" in hit["document"] or hit["text"]
        with pytest.raises(IndexAway):
            run_verb(app, "doctor index")
        server.folder.rename(tmp_path / "lost")
        server.start()
        wait_until_whole(app, workspace)
        assert answered(app, workspace)[0] == whole[0]


def test_what_is_removed_while_it_is_away_is_found_no_more(away, server, tmp_path):
    app, workspace = away
    workspace = shop(app, workspace, tmp_path / "shop", 10)
    with closing(app.db()) as db:
        sales = create_workspace(db, "sales", access="public", instructions="")
        (tmp_path / "note.txt").write_text("The pump needs a new filter.")
        taken_in(app, sales, tmp_path / "note.txt")
        server.kill()
        remove(db, app.datadir, app.index, workspace.id, "2.md")
    run_verb(app, "workspaces delete", name="sales")
    assert "2.md" not in str(answered(app, workspace)[1])
    server.start()
    wait_until_whole(app, workspace)
    assert app.index.collections() == [chunks_collection(workspace.id, app.embedder)]


def test_a_backup_holds_all_that_is_needed(away, server, tmp_path, opened):
    """The restored install is another one: both may run on the same server, or without it."""
    app, workspace = away
    workspace = shop(app, workspace, tmp_path / "shop", 10)
    before = found(app, workspace)
    make_backup(app.datadir, tmp_path / "copy.tar", actor="user:1")
    data = tmp_path / "restored"
    assert main(["--data", str(data), "restore", str(tmp_path / "copy.tar")]) == 0
    for url in (server.url, ""):
        with opened(app.settings.model_copy(update={"data": data}), url) as restored:
            fill_index(restored)
            assert alike(found(restored, workspace), before)
            if url:
                assert restored.index.place.prefix != app.index.place.prefix
    assert alike(found(app, workspace), before)
    assert DataDir(data).chroma.is_dir()


def test_examples_are_back_when_it_is(away, server, tmp_path):
    app, workspace = away
    with closing(app.db()) as db:
        workspace = set_workspace(db, workspace.name, "example_tokens", "400")
    (tmp_path / "rows.jsonl").write_text(
        '{"question": "How wide is the gate?", "correction": "Two metres."}\n'
    )
    file = str(tmp_path / "rows.jsonl")
    run_verb(app, "feedback import", workspace="default", file=file, approve=True)

    def said():
        (row,), _ = run_verb(
            *(app, "ask"),
            workspace="default",
            question="How wide is the gate in the yard?",
            max_tokens=1,
        )
        return row

    whole = said()
    server.kill()
    assert said()["answer"] is not None and AWAY in str(said())
    server.start()
    assert app.index.answers()
    assert said()["prompt_tokens"] == whole["prompt_tokens"] > 0
