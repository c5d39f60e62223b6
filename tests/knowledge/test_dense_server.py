"""The index on Chroma's server: shared with others, away, hanging, emptied, and back again."""

import logging
import shutil
import signal
import threading
import time
from contextlib import closing

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from knowledge import dense_server
from knowledge.chroma_place import ChromaPlace, IndexAway
from knowledge.dense_server import ServerIndex
from tests.chroma_server import chroma_server
from tests.knowledge.vectors import fill, vectors
from tests.serving import on_a_port


@pytest.fixture
def own(tmp_path):
    """A server that the test may kill, with an index on it that does not wait long."""
    with (
        chroma_server(tmp_path / "own") as server,
        closing(ServerIndex(ChromaPlace(server.url, "own"))) as index,
    ):
        yield server, index


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(dense_server, "PATIENCE_S", 0.3)
    monkeypatch.setattr(dense_server, "REST_S", 0.5)
    monkeypatch.setattr(dense_server, "ANSWER_S", 1.0)


def test_two_installs_share_a_server_and_see_nothing_of_each_other(chroma):
    places = [ChromaPlace(chroma.url, f"install-{name}") for name in "ab"]
    one, other = map(ServerIndex, places)
    with closing(one), closing(other):
        found = fill(one)
        assert other.collections() == [] and other.hashes("chunks-1-x") == {}
        fill(other, 2)
        one.rewrite()
        one.drop("chunks-1-x")
        assert set(other.hashes("chunks-1-x")) == {1, 2}
        assert other.query("chunks-1-x", found[0], 9)[0][0] == 1
        other.drop("chunks-1-x")


def test_nothing_is_asked_before_the_first_call_and_then_one_sentence_says_it(hasty, caplog):
    index = ServerIndex(ChromaPlace("http://127.0.0.1:9", "own", token="s3cret"))
    assert not index.away
    with caplog.at_level(logging.INFO), pytest.raises(IndexAway) as told:
        index.query("chunks-1-x", vectors(1)[0], 3)
    assert "http://127.0.0.1:9" in str(told.value) and "APPRENTICE_CHROMA_URL" in str(told.value)
    for ask in (index.collections, lambda: fill(index), lambda: index.drop("x")):
        with pytest.raises(IndexAway):
            ask()
    assert index.away and index.rebuilt and not index.answers()
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1
    assert "s3cret" not in caplog.text and "s3cret" not in str(told.value)


def test_a_killed_server_comes_back_with_all_that_was_acknowledged(own, hasty, caplog):
    server, index = own
    found = fill(index, 700)
    index.rebuilt = False
    server.kill()
    with pytest.raises(IndexAway):
        index.query("chunks-1-x", found[3], 1)
    assert index.away and index.rebuilt
    server.start()
    assert index.answers() and not index.away
    assert len(index.hashes("chunks-1-x")) == 700
    assert index.query("chunks-1-x", found[3], 1)[0][0] == 4


def test_a_write_waits_for_a_server_that_is_started_anew(own):
    server, index = own
    fill(index)
    server.kill()
    again = threading.Timer(1.0, server.start)
    again.start()
    fill(index, 9)
    again.join()
    assert len(index.hashes("chunks-1-x")) == 9


def test_what_an_emptied_server_lacks_is_noticed(own):
    server, index = own
    found = fill(index)
    server.kill()
    shutil.rmtree(server.folder)
    server.start()
    index.rebuilt = False
    index.reached["chunks-1-x"] = 7
    assert index.query("chunks-1-x", found[0], 3) == []
    assert index.rebuilt and index.reached == {}
    fill(index)
    assert index.query("chunks-1-x", found[3], 1)[0][0] == 4


def test_a_server_that_hangs_keeps_nobody_but_the_first(own, hasty):
    server, index = own
    index.close()
    found = fill(index)  # on a connection with the short limit
    server.kill(signal.SIGSTOP)
    try:
        times = []
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(IndexAway, match="in time|does not answer"):
                index.query("chunks-1-x", found[0], 1)
            times.append(time.monotonic() - begun)
        assert times[0] < 5 and max(times[1:]) < 0.2
    finally:
        server.kill(signal.SIGCONT)
    assert index.answers()
    assert index.query("chunks-1-x", found[3], 1)[0][0] == 4


def test_an_answer_that_is_none_of_chromas_is_said_and_the_token_is_sent():
    """As of a proxy that wants another token, or whose server is away."""
    seen: list[str | None] = []

    async def refuse(request: Request) -> PlainTextResponse:
        seen.append(request.headers.get("x-chroma-token"))
        seen.append(request.headers.get("authorization"))
        return PlainTextResponse("no such token", status_code=401)

    with on_a_port(Starlette(routes=[Route("/{path:path}", refuse)])) as url:
        index = ServerIndex(ChromaPlace(url, "own", token="s3cret"))
        with pytest.raises(IndexAway, match="no such token") as told:
            index.collections()
    assert "s3cret" not in str(told.value)
    assert {"s3cret", "Bearer s3cret"} == set(seen)


def test_an_unknown_database_is_said(chroma):
    index = ServerIndex(ChromaPlace(chroma.url, "own", database="nowhere"))
    with pytest.raises(IndexAway, match="APPRENTICE_CHROMA_DATABASE"):
        index.collections()


def test_a_crash_of_a_rewrite_costs_a_collection_that_is_then_filled_again(own):
    """A draft that was left behind is no collection of ours, and the next rewrite clears it."""
    server, index = own
    fill(index)
    draft = index._created("own.chunks-1-x.new")
    draft.upsert(ids=["99"], embeddings=vectors(1), metadatas=[{"hash": "h"}])
    assert index.collections() == ["chunks-1-x"]
    index.rewrite()
    assert set(index.hashes("chunks-1-x")) == {1, 2, 3, 4, 5} and index.rebuilt
    assert index.collections() == ["chunks-1-x"]
