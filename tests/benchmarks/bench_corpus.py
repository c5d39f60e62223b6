"""A large corpus: how fast it goes in, in how much memory, and whether all of it is found.

    python -m tests.benchmarks.bench_corpus [--pages 29000] [--text FOLDER] [--ray-pages 2000]

Made-up pages with needles (`corpus.py`), and real text from a folder if one is named. An ingest
runs in a process of its own that is killed by SIGKILL when a third is in, and goes on in a new one.
Then the needles are asked for, with the vectors in the folder and on Chroma's own server. Ray takes
in fewer pages, with one worker and with two, where it is installed. Every ingest ends with the same
questions: as many documents as pages, each once, and the index equal to SQLite.
"""

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import psutil

from knowledge.by_ray import prepared_by_ray
from knowledge.chroma_place import ChromaPlace
from knowledge.chunk_vectors import sync_index
from knowledge.dense import DenseIndex
from knowledge.dense_folder import FolderIndex
from knowledge.dense_server import ServerIndex
from knowledge.embedding import Embedder
from knowledge.ingest import ingest
from knowledge.lexical import LexicalIndex
from knowledge.search import chunks_collection, search
from storage.database import open_database, rows
from storage.datadir import DataDir, open_datadir
from storage.documents import chunk_hashes
from tests.benchmarks.corpus import Needle, write_pages, write_real
from tests.chroma_server import chroma_server

PAGES, RAY_PAGES, ASKED, RECALL_AIM, FLAT = 29_000, 2000, 300, 0.95, 1.5
"""FLAT: the last tenth may take that many times as long as the first."""


def main() -> int:
    """Measures and prints; 1 when pages are lost or found too seldom, or the last are slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=PAGES)
    parser.add_argument("--ray-pages", type=int, default=RAY_PAGES)
    parser.add_argument("--text", type=Path, help="a folder with .txt, .md or .jsonl")
    parser.add_argument("--work", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return _child(Path(given.child[0]), Path(given.child[1]), int(given.child[2]))
    with tempfile.TemporaryDirectory() as scratch:
        return _report(given, given.work or Path(scratch))


def _report(given: argparse.Namespace, work: Path) -> int:
    met = True
    if given.pages:
        needles = write_pages(work / "pages", given.pages)
        met &= _one_corpus(f"{given.pages:,} made-up pages", work, "pages", needles)
    if given.text:
        needles = write_real(work / "real", given.text)
        count = sum(1 for _ in (work / "real").glob("*.txt"))
        met &= _one_corpus(f"{count:,} pages of real text", work, "real", needles)
    if given.ray_pages:
        met &= _with_ray(work, given.ray_pages)
    return int(not met)


def _one_corpus(what: str, work: Path, name: str, needles: Sequence[Needle]) -> bool:
    print(f"\n{what}, {len(needles)} needles", flush=True)
    pages, data = work / name, work / f"{name}-data"
    count = sum(1 for file in pages.rglob("*.txt"))
    first = _ingested(pages, data, 0, kill_at=count // 3)
    print(f"  killed with {_documents(data)} documents in: {_told(first)}", flush=True)
    second = _ingested(pages, data, 0)
    print(f"  gone on: {_told(second)}", flush=True)
    whole = _is_whole(data, count)
    flat = second["slower"] <= FLAT
    print(f"  every page once, the index equal to the database: {whole}")
    print(f"  the last tenth took {second['slower']:.2f} times as long as the first (most {FLAT})")
    return _asked(data, needles) and whole and flat


def _with_ray(work: Path, count: int) -> bool:
    if importlib.util.find_spec("ray") is None:
        print("\nRay is not installed: pip install 'apprentice-chat[ray]'")
        return True
    write_pages(work / "some", count, seed=3)
    print(f"\n{count:,} made-up pages", flush=True)
    whole = True
    for workers in (0, 1, 2):
        data = work / f"ray-{workers}"
        found = _ingested(work / "some", data, workers)
        whole &= _is_whole(data, count)
        by = f"Ray, {workers} workers" if workers else "here"
        print(f"  {by}: {_told(found)}", flush=True)
    print(f"  every page once, the index equal to the database: {whole}")
    return whole


def _ingested(pages: Path, data: Path, workers: int, kill_at: int = 0) -> dict[str, float]:
    """An ingest in a process of its own; it is killed when `kill_at` documents are in."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_corpus"]
    command += ["--child", str(pages), str(data), str(workers)]
    peak = {"own": 0.0, "all": 0.0}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(child.pid, peak, over))
        watcher.start()
        said: dict[str, float] = {"pages": 0.0, "seconds": 0.0, "slower": 0.0}
        assert child.stdout
        for line in child.stdout:
            said = json.loads(line)
            if kill_at and said["pages"] >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
        child.wait()
        over.set()
        watcher.join()
    return {**said, **peak}


def _child(pages: Path, data: Path, workers: int) -> int:
    """Takes them in; a line of JSON now and then, and one at the end."""
    datadir = open_datadir(data)
    with (
        closing(Embedder()) as embedder,
        closing(FolderIndex(datadir.chroma)) as index,
        open_database(datadir.database) as db,
    ):
        preparer = partial(prepared_by_ray, embedder=embedder.place, workers=workers)
        parts = (db, datadir, index, embedder, 1)
        begun = time.perf_counter()
        synced = sync_index(db, index, embedder, 1)
        times: list[float] = []
        for event in ingest(*parts, [pages], preparer=preparer if workers else None):
            assert event.status in ("added", "unchanged"), event
            if event.status == "added":
                times.append(time.perf_counter())
                if len(times) % 100 == 0:
                    _say(times, begun, synced)
        _say(times, begun, synced)
    return 0


def _say(times: Sequence[float], begun: float, synced: int) -> None:
    tenth = len(times) // 10
    slower = (times[-1] - times[-tenth]) / (times[tenth] - times[0]) if tenth > 50 else 1.0
    said = {"pages": len(times), "seconds": (times[-1] if times else begun) - begun}
    said["processor"] = time.process_time()
    first = times[0] - begun if times else 0.0
    print(json.dumps({**said, "slower": slower, "first": first, "synced": synced}), flush=True)


def _watch(process: int, peak: dict[str, float], over: threading.Event) -> None:
    """The most memory that it had, and that it had with its children, in MB."""
    while not over.wait(0.5):
        try:
            own = psutil.Process(process)
            sizes = [own.memory_info().rss, *(_shared(one) for one in own.children(recursive=True))]
        except psutil.Error:
            continue
        peak["own"] = max(peak["own"], sizes[0] / 1e6)
        peak["all"] = max(peak["all"], sum(sizes) / 1e6)


def _shared(process: psutil.Process) -> float:
    """What it has by itself, its share of what several have counted (PSS)."""
    try:
        return float(process.memory_full_info().pss)
    except psutil.Error:
        return 0.0


def _told(found: dict[str, float]) -> str:
    speed = found["pages"] / found["seconds"] if found["seconds"] else 0.0
    return (
        f"{found['pages']:,.0f} pages in {found['seconds']:.0f} s, {speed:.1f} a second "
        f"({found.get('processor', 0):.0f} s of its own processor time, the first after "
        f"{found.get('first', 0):.1f} s, {found.get('synced', 0):.0f} vectors mended), "
        f"memory {found['own']:.0f} MB, with children {found['all']:.0f} MB"
    )


def _documents(data: Path) -> int:
    with open_database(DataDir(data).database) as db:
        return int(rows(db, "select count(*) as n from documents")[0]["n"])


def _is_whole(data: Path, count: int) -> bool:
    datadir = DataDir(data)
    with (
        closing(FolderIndex(datadir.chroma)) as index,
        closing(Embedder()) as embedder,
        open_database(datadir.database) as db,
    ):
        (found,) = rows(db, "select count(*) as n, count(distinct name) as m from documents")
        collection = chunks_collection(1, embedder)
        same = index.hashes(collection) == chunk_hashes(db, 1)
    return same and found["n"] == found["m"] == count


def _asked(data: Path, needles: Sequence[Needle]) -> bool:
    """Each kind of index: how long a search takes, and the share of needles among the first."""
    datadir, asked = DataDir(data), needles[:: max(1, len(needles) // ASKED)]
    met = True
    with (
        closing(Embedder()) as embedder,
        closing(FolderIndex(datadir.chroma)) as folder,
        open_database(datadir.database) as db,
        tempfile.TemporaryDirectory() as scratch,
        chroma_server(Path(scratch) / "server") as server,
        closing(ServerIndex(ChromaPlace(server.url, "bench"))) as remote,
    ):
        collection = chunks_collection(1, embedder)
        begun = time.perf_counter()
        _copy(folder, remote, collection)
        print(f"  the vectors copied to the server in {time.perf_counter() - begun:.0f} s")
        begun = time.perf_counter()
        same = remote.hashes(collection) == folder.hashes(collection)
        print(f"  compared with the server in {time.perf_counter() - begun:.1f} s: {same}")
        lexical = LexicalIndex()
        for what, index in (("folder", folder), ("server", remote)):
            times, first, fifth = [], 0, 0
            search(db, index, lexical, embedder, 1, asked[0].question)
            for needle in asked:
                begun = time.perf_counter()
                found = search(db, index, lexical, embedder, 1, needle.question, top_k=5)
                times.append(time.perf_counter() - begun)
                names = [one.document for one in found]
                first += names[:1] == [needle.document]
                fifth += needle.document in names
            p95 = quantiles(times, n=20)[-1]
            shares = first / len(asked), fifth / len(asked)
            print(
                f"  search, {what}: p50 {median(times) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms; "
                f"of {len(asked)} needles {shares[0]:.1%} first, {shares[1]:.1%} among five",
                flush=True,
            )
            met &= shares[1] >= RECALL_AIM
    return met and same


def _copy(source: DenseIndex, target: DenseIndex, collection: str) -> None:
    known = source.hashes(collection)
    ids = [*known]
    for start in range(0, len(ids), 1000):
        part, vectors = source.vectors(collection, ids[start : start + 1000])
        target.upsert(collection, part, vectors, [known[one] for one in part])


if __name__ == "__main__":
    sys.exit(main())
