"""Ray prepares: the same documents, chunks and vectors; killed at any point, it goes on."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from knowledge.by_ray import prepared_by_ray, refuse_without_ray
from knowledge.chunk_vectors import sync_index
from knowledge.dense_folder import FolderIndex
from knowledge.ingest import ingest
from knowledge.preparing import PreparerFailed
from knowledge.search import chunks_collection
from storage.database import open_database, rows
from storage.datadir import open_datadir
from storage.documents import chunk_hashes, list_documents
from storage.errors import BadInput
from storage.workspaces import workspace as workspace_named
from tests.benchmarks.corpus import write_pages

HERE = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HERE, reason="needs the extra `ray`")


@pytest.fixture
def many(docs) -> Path:
    """A folder with 105 files, among them one of several sections and some that cannot be read."""
    for number in range(95):
        (docs / f"{number:02}.txt").write_text(f"Pump {number} stands in hall {number * 3}. " * 9)
    (docs / "empty.md").touch()
    (docs / "latin.txt").write_bytes("größer".encode("latin-1"))
    (docs / "what.xyz").write_text("?")
    (docs / "long.md").write_text(
        "# A\n\n" + "The filter of the pump is new. " * 900 + "\n# B\n\nb"
    )
    (docs / os.fsdecode(b"odd-\xff.txt")).write_text("A name that is no Unicode.")
    return docs


class House:
    """A data directory with an index in a folder, for one way to ingest."""

    def __init__(self, folder: Path, embedder) -> None:
        self.datadir = open_datadir(folder)
        self.index = FolderIndex(self.datadir.chroma)
        self.embedder = embedder
        self.db = open_database(self.datadir.database)
        self.workspace = workspace_named(self.db, "default").id

    def take(self, *paths, **given):
        return ingest(
            *(self.db, self.datadir, self.index, self.embedder, self.workspace, paths), **given
        )

    def state(self):
        """Everything but times."""
        documents = [
            (one.id, one.name, one.hash, one.chunk_count)
            for one in list_documents(self.db, self.workspace)
        ]
        chunks = rows(self.db, "select id, document_id, position, heading, text, hash from chunks")
        return documents, chunks, self.index.hashes(self.collection)

    @property
    def collection(self) -> str:
        return chunks_collection(self.workspace, self.embedder)

    def vectors(self):
        known = sorted(chunk_hashes(self.db, self.workspace))
        ids, vectors = self.index.vectors(self.collection, known)
        return vectors[sorted(range(len(ids)), key=ids.__getitem__)]

    def close(self):
        self.index.close()
        self.db.close()


@pytest.fixture
def houses(tmp_path, embedder):
    with (
        closing(House(tmp_path / "one", embedder)) as one,
        closing(House(tmp_path / "other", embedder)) as other,
    ):
        yield one, other


def ray(embedder, workers=2):
    return partial(prepared_by_ray, embedder=embedder.place, workers=workers)


@needs_ray
@pytest.mark.slow
def test_it_ends_in_the_state_of_an_ingest_here_and_goes_on_where_ray_was_killed(
    houses, many, embedder
):
    """One long test: Ray takes seconds to start."""
    here, there = houses
    local = list(here.take(many, max_tokens=64))
    seen = []
    with pytest.raises(PreparerFailed, match="begin again to go on"):
        for event in there.take(many, max_tokens=64, preparer=ray(embedder)):
            seen.append(event)
            if len(seen) == 40:
                kill_ray(os.getpid())
    assert 40 <= len(seen) < len(local)
    sync_index(there.db, there.index, embedder, there.workspace)
    again = list(there.take(many, max_tokens=64, preparer=ray(embedder)))
    assert [event.name for event in again] == [event.name for event in local]
    assert {event.status for event in again} == {"added", "unchanged", "failed"}
    failed = [event for event in again if event.status == "failed"]
    assert failed == [event for event in local if event.status == "failed"] and len(failed) == 3
    assert there.state() == here.state()
    assert there.vectors() == pytest.approx(here.vectors(), abs=1e-5)
    # nothing is left to read: Ray is not even started
    begun = time.monotonic()
    (many / "empty.md").unlink()
    (many / "latin.txt").unlink()
    assert {e.status for e in there.take(many, max_tokens=64, preparer=ray(embedder))} == {
        *("unchanged", "failed")
    }
    assert time.monotonic() - begun < 3
    assert not ray_processes()


@needs_ray
@pytest.mark.slow
def test_a_killed_writer_takes_ray_with_it_and_goes_on(tmp_path, embedder):
    write_pages(tmp_path / "pages", 600)
    command = [sys.executable, "-m", "tests.benchmarks.bench_corpus", "--child"]
    command += [str(tmp_path / "pages"), str(tmp_path / "data"), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout and b'"pages": 100' in writer.stdout.readline()
        left = psutil.Process(writer.pid).children(recursive=True)
        assert any("raylet" in one.name() for one in left)
        writer.kill()
    deadline = time.monotonic() + 90  # Ray's agents look for its raylet now and then
    while alive := [one for one in left if lives(one)]:
        assert time.monotonic() < deadline, [one.name() for one in alive]
        time.sleep(0.5)
    with closing(House(tmp_path / "data", embedder)) as house:
        sync_index(house.db, house.index, embedder, house.workspace)
        again = list(house.take(tmp_path / "pages", preparer=ray(embedder)))
        assert {event.status for event in again} == {"added", "unchanged"}
        documents, _, hashes = house.state()
        assert len(documents) == len({name for _, name, _, _ in documents}) == 600
        assert hashes == chunk_hashes(house.db, house.workspace)


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ray_processes() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if lives(one) and "ray" in one.name()
    ]


def kill_ray(parent: int) -> None:
    """The child that drives it, as the kernel does when memory runs out."""
    for one in psutil.Process(parent).children():
        if "knowledge.ray_tasks" in one.cmdline():
            one.send_signal(signal.SIGKILL)


def test_without_ray_one_sentence_says_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'apprentice-chat\[ray\]'"):
        refuse_without_ray()
