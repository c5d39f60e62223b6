"""What an index of vectors does, in a folder and on Chroma's server alike."""

import threading
from contextlib import closing

import numpy as np
import pytest

from knowledge.dense_folder import FolderIndex
from tests.knowledge.vectors import fill, vectors


@pytest.fixture(params=["folder", "server"])
def index(request, tmp_path):
    if request.param == "server":
        yield request.getfixturevalue("server_index")
        return
    with closing(FolderIndex(tmp_path / "chroma")) as opened:
        yield opened


def test_the_nearest_come_first_with_their_cosine(index):
    found = fill(index)
    near = index.query("chunks-1-x", found[2], 3)
    assert near[0] == (3, pytest.approx(1.0, abs=1e-5))
    assert [similarity for _, similarity in near] == pytest.approx(
        sorted((found @ found[2]).tolist(), reverse=True)[:3], abs=1e-5
    )


def test_a_query_among_some_ids_ignores_unknown_ones(index):
    found = fill(index)
    near = index.query("chunks-1-x", found[2], 9, among=[1, 5, 77])
    assert {name for name, _ in near} == {1, 5}
    assert index.query("chunks-1-x", found[2], 9, among=[77]) == []
    assert index.query("chunks-1-x", found[2], 9, among=[]) == []


def test_similarities_are_those_of_a_query(index):
    found = fill(index, 310)
    new = vectors(2, seed=1)
    index.upsert("chunks-1-x", [4000, 4001], new, ["a", "b"])
    index.delete("chunks-1-x", [7])
    ids = [1, 4000, 7, 99_999, *range(20, 330)]
    seen = index.similarities("chunks-1-x", new[0], ids)
    near = dict(index.query("chunks-1-x", new[0], 400, among=ids))
    assert seen == pytest.approx(near, abs=1e-5) and set(seen) == {1, 4000, *range(20, 311)}
    assert index.similarities("chunks-1-x", found[0], []) == {}
    assert index.similarities("chunks-9-x", found[0], ids) == {}


def test_upsert_replaces_and_delete_removes(index):
    found = fill(index)
    index.upsert("chunks-1-x", [1], found[4:5] * -1, ["new"])
    index.delete("chunks-1-x", [2, 3, 99])
    assert index.hashes("chunks-1-x") == {1: "new", 4: "h4", 5: "h5"}
    assert index.query("chunks-1-x", found[4], 9)[-1] == (1, pytest.approx(-1.0, abs=1e-5))


def test_hashes_of_some(index):
    fill(index)
    assert index.hashes("chunks-1-x", among=[2, 77]) == {2: "h2"}
    assert index.hashes("chunks-1-x", among=[]) == index.hashes("none", among=[2]) == {}


def test_while_a_collection_is_filled_it_says_so(index):
    with index.filling("chunks-1-x"), index.filling("chunks-1-x"):
        assert index.is_filling("chunks-1-x") and not index.is_filling("chunks-2-x")
    assert not index.is_filling("chunks-1-x")


def test_what_an_owner_has_reached_is_forgotten_with_the_vectors(index):
    index.reached["chunks-1-x"] = 7
    index.drop("chunks-1-x")
    assert index.reached == {}


def test_an_unknown_collection_is_empty(index):
    assert index.hashes("chunks-9-x") == {}
    assert index.query("chunks-9-x", vectors(1)[0], 3) == []
    index.delete("chunks-9-x", [1])
    index.drop("chunks-9-x")
    assert index.collections() == []


def test_collections_are_apart_and_can_be_dropped(index):
    fill(index)
    fill(index, 2, "chunks-2-x")
    assert index.collections() == ["chunks-1-x", "chunks-2-x"]
    index.drop("chunks-1-x")
    assert index.collections() == ["chunks-2-x"]
    assert set(index.hashes("chunks-2-x")) == {1, 2}


def test_more_than_chromas_largest_batch(index):
    count = 5500  # more than 5461
    found = np.zeros((count, 2), np.float32)
    found[:, 0] = 1
    index.upsert("chunks-1-x", range(count), found, ["h"] * count)
    assert len(index.hashes("chunks-1-x")) == count
    index.delete("chunks-1-x", range(count))
    assert index.hashes("chunks-1-x") == {}


def test_many_threads(index):
    found, faults = fill(index, 60), []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                assert index.query("chunks-1-x", found[number], 1)[0][0] == number + 1
                index.upsert("chunks-1-x", [1000 + number], vectors(1, turn) * -1, ["h"])
        except BaseException as fault:  # noqa: BLE001
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_rewritten_index_holds_the_living(index):
    kept = fill(index, 310)  # more than are copied at once
    fill(index, 3, "corrections-1-x")
    index.delete("corrections-1-x", [2])
    near = index.query("chunks-1-x", kept[5], 5)
    index.rewrite()
    assert index.hashes("corrections-1-x") == {1: "h1", 3: "h3"}
    assert len(index.hashes("chunks-1-x")) == 310
    again = index.query("chunks-1-x", kept[5], 5)
    assert [name for name, _ in again] == [name for name, _ in near]
    assert index.collections() == ["chunks-1-x", "corrections-1-x"]
