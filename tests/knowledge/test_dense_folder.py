import os
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from knowledge.dense_folder import FolderIndex
from tests.knowledge.vectors import fill, vectors

MANY = 1100  # Chroma writes its files of vectors at every thousandth


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A closed index of MANY vectors, all of its files on disk."""
    path = tmp_path_factory.mktemp("written") / "chroma"
    index = FolderIndex(path)
    fill(index, MANY)
    index.close()
    return path


@pytest.fixture
def copy(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "chroma"))


def test_similarities_are_those_of_a_query(written, tmp_path):
    """On disk and in what is not yet written there; unknown and deleted ones are left out."""
    with closing(FolderIndex(Path(shutil.copytree(written, tmp_path / "chroma")))) as index:
        new = vectors(2, seed=1)
        index.upsert("chunks-1-x", [4000, 4001], new, ["a", "b"])
        index.delete("chunks-1-x", [7])
        ids = [1, 4000, 7, 99_999, 600]
        found = index.similarities("chunks-1-x", new[0], ids)
        near = dict(index.query("chunks-1-x", new[0], 9, among=ids))
        assert found == pytest.approx(near, abs=1e-5) and set(found) == {1, 4000, 600}
        assert index.similarities("chunks-1-x", new[0], []) == {}
        assert index.similarities("chunks-9-x", new[0], ids) == {}


@pytest.mark.slow
def test_hashes_of_more_vectors_than_sqlite_takes_names(index):
    count = 33_000
    fill(index, count)
    assert index.hashes("chunks-1-x") == {n: f"h{n}" for n in range(1, count + 1)}
    assert len(index.hashes("chunks-1-x", among=range(1, count))) == count - 1


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("count", [5, 98, 1500])  # Chroma's files differ: see `length.bin`
def test_it_is_there_again_after_closing(tmp_path, count, write):
    for turn in range(4):
        index = FolderIndex(tmp_path / "chroma")
        assert not index.rebuilt
        if turn == 0:
            fill(index, count)
        assert len(index.hashes("chunks-1-x")) == count
        assert index.query("chunks-1-x", vectors(count)[3], 1)[0][0] == 4
        if write:
            index.upsert("chunks-1-x", [4], vectors(count)[3:4], ["h4"])
        index.close()
    assert not (tmp_path / "chroma.unreadable").exists()


@pytest.mark.parametrize("count", [5, 1500])
def test_no_piece_of_memory_is_left_in_its_files(tmp_path, count):
    index = FolderIndex(tmp_path / "chroma")
    fill(index, count)
    index.close()
    FolderIndex(tmp_path / "chroma").close()
    headers = list(tmp_path.glob("chroma/*/header.bin"))
    assert headers
    for header in headers:
        _, _, room, vectors, size = struct.unpack_from("<iQQQQ", header.read_bytes())
        data = header.with_name("data_level0.bin").read_bytes()
        lengths = header.with_name("length.bin").read_bytes()
        assert vectors * size <= len(data) <= room * size
        assert vectors * 4 <= len(lengths) <= room * 4
        assert not any(data[vectors * size :]) and not any(lengths[vectors * 4 :])
        assert any(data[: vectors * size]) == (vectors > 0)


def test_a_killed_process_leaves_a_sound_folder(copy, tmp_path):
    index = FolderIndex(copy)
    index.upsert("chunks-1-x", range(2000, 4500), vectors(2500, 1), ["h"] * 2500)
    # what a killed process leaves: no close() was called
    killed = shutil.copytree(copy, tmp_path / "killed")
    index.close()
    again = FolderIndex(Path(killed))
    assert not again.rebuilt
    assert len(again.hashes("chunks-1-x")) == MANY + 2500
    again.close()


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(max(200, file.stat().st_size)))


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for place in range(0, len(data), 7):
        data[place] ^= 0x55
    file.write_bytes(data)


DAMAGE = {
    "deleted": Path.unlink,
    "halved": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "garbage": garbage,
    "flipped": flip,
}
CASES = [(name, how) for name in ("chroma.sqlite3", "data_level0.bin") for how in DAMAGE] + [
    (name, how)
    for name in ("header.bin", "index_metadata.pickle", "length.bin", "link_lists.bin")
    for how in ("deleted", "halved")
]


@pytest.mark.parametrize(
    ("name", "how"), [*CASES, ("seals.json", "deleted"), ("seals.json", "garbage")]
)
def test_a_damaged_folder_is_moved_aside_and_can_be_filled_again(copy, name, how):
    [file] = copy.rglob(name)
    DAMAGE[how](file)
    index = FolderIndex(copy)
    assert index.rebuilt
    assert index.hashes("chunks-1-x") == {}
    assert copy.with_name("chroma.unreadable").is_dir()
    found = fill(index)
    assert index.query("chunks-1-x", found[3], 1)[0][0] == 4
    index.close()
    again = FolderIndex(copy)
    assert not again.rebuilt and len(again.hashes("chunks-1-x")) == 5
    again.close()


def test_a_foreign_or_older_database_is_moved_aside(tmp_path):
    path = tmp_path / "chroma"
    path.mkdir()
    with sqlite3.connect(path / "chroma.sqlite3") as connection:
        connection.execute("create table collections (id integer, nonsense text)")
        connection.execute("create table migrations (dir text)")
    connection.close()
    index = FolderIndex(path)
    assert index.rebuilt and index.hashes("chunks-1-x") == {}
    index.close()


def test_a_bad_page_that_chroma_would_meet_later_is_found_at_once(copy):
    with closing(sqlite3.connect(copy / "chroma.sqlite3")) as connection:
        [page] = connection.execute(
            "select rootpage from sqlite_schema where name = 'embedding_metadata'"
        ).fetchone()
        [size] = connection.execute("pragma page_size").fetchone()
    with (copy / "chroma.sqlite3").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    index = FolderIndex(copy)
    assert index.rebuilt
    index.close()


def test_vectors_that_were_lost_with_their_seals_intact_are_noticed(copy):
    """The index in SQLite names a thousand vectors, and their files are not there."""
    [file] = copy.rglob("data_level0.bin")
    shutil.rmtree(file.parent)
    (copy / "seals.json").write_text("{}")
    index = FolderIndex(copy)
    assert index.rebuilt
    fill(index)
    assert len(index.hashes("chunks-1-x")) == 5
    index.close()


def test_a_second_damage_replaces_what_was_moved_aside_first(copy):
    for _ in range(2):
        (copy / "chroma.sqlite3").write_bytes(b"no database")
        index = FolderIndex(copy)
        assert index.rebuilt
        index.close()
    assert sorted(entry.name for entry in copy.parent.iterdir()) == ["chroma", "chroma.unreadable"]


def test_damage_while_it_is_open_ends_in_an_empty_index_not_in_an_error(copy):
    index = FolderIndex(copy)
    os.truncate(copy / "chroma.sqlite3", 5000)
    assert index.query("chunks-1-x", vectors(1)[0], 3) == []
    assert index.rebuilt
    fill(index)
    assert len(index.hashes("chunks-1-x")) == 5
    index.close()


@pytest.mark.parametrize("lose", [shutil.rmtree, lambda path: (path / "chroma.sqlite3").unlink()])
def test_files_deleted_while_it_is_open_are_noticed(copy, lose):
    """Chroma would begin a new file and find nothing, without an error."""
    index = FolderIndex(copy)
    lose(copy)
    assert index.query("chunks-1-x", vectors(1)[0], 3) == []
    assert index.rebuilt
    index.rebuilt = False
    found = fill(index)
    assert index.query("chunks-1-x", found[3], 1)[0][0] == 4
    assert not index.rebuilt
    index.close()
    again = FolderIndex(copy)
    assert not again.rebuilt and len(again.hashes("chunks-1-x")) == 5
    again.close()


def test_a_rewritten_index_holds_the_living_and_no_byte_of_the_deleted(tmp_path):
    index = FolderIndex(tmp_path / "chroma")
    kept, gone = vectors(MANY), vectors(1, seed=7)
    index.upsert("chunks-1-x", range(1, MANY + 1), kept, [f"h{n}" for n in range(1, MANY + 1)])
    index.upsert("corrections-1-x", [1, 2], np.vstack([kept[:1], gone]), ["h1", "h2"])
    near = index.query("chunks-1-x", kept[5], 5)
    index.delete("corrections-1-x", [2])
    assert _holds(tmp_path, gone), "nothing to be rid of: the test shows nothing"
    (tmp_path / "chroma.unreadable").mkdir()
    index.rewrite()
    assert not _holds(tmp_path, gone) and not index.rebuilt
    assert index.hashes("corrections-1-x") == {1: "h1"}
    assert len(index.hashes("chunks-1-x")) == MANY
    again = index.query("chunks-1-x", kept[5], 5)
    assert [name for name, _ in again] == [name for name, _ in near]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chroma"]
    index.close()
    again = FolderIndex(tmp_path / "chroma")
    assert not again.rebuilt and again.hashes("corrections-1-x") == {1: "h1"}
    again.close()


def _holds(folder: Path, vector: np.ndarray) -> bool:
    """Whether some file has the vector's bytes."""
    wanted = vector.astype(np.float32).tobytes()
    return any(wanted in path.read_bytes() for path in folder.rglob("*") if path.is_file())
