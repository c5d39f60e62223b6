"""What retrieval finds on Cranfield, how long it takes with 100,000 chunks, how texts come in.

    python -m tests.benchmarks.bench_retrieval --cases FOLDER [--chunks N]

FOLDER holds corpus.jsonl, queries.jsonl and qrels.jsonl of the Cranfield collection (Cleverdon
1967). The opponents of the first are BM25 (SQLite's FTS5, Porter stems) and the embedder alone,
each over whole documents; of the second, Chroma asked for the nearest vectors, the query's own
embedding counted on both sides. Settings were chosen on queries of even id; those of odd id are
reported.
"""

import argparse
import json
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from sqlite_utils import Database

from knowledge.dense_folder import FolderIndex
from knowledge.embedding import Embedder
from knowledge.ingest import ingest
from knowledge.lexical import LexicalIndex
from knowledge.search import chunks_collection, search
from storage.database import open_database
from storage.datadir import DataDir, open_datadir
from storage.documents import chunk_hashes, chunks_of, list_documents, put_document

QUALITY_AIM, TIME_AIM, RATE_AIM = 1.1, 2.0, 0.85
WORKSPACE = 1
FOUND = 30
"""Passages that both measurements ask for; the first ten documents among them count."""
PER_DOCUMENT = 100
PARTS, DOCUMENTS = 4, 100
"""Texts are taken in and embedded in turn, so many at a time."""


@dataclass(frozen=True)
class Cases:
    """A collection: texts and queries by id, and the documents that each query wants."""

    texts: dict[str, str]
    queries: dict[str, str]
    wanted: dict[str, set[str]]


@dataclass(frozen=True)
class Shelf:
    """What `search` asks."""

    datadir: DataDir
    db: Database
    index: FolderIndex
    lexical: LexicalIndex
    embedder: Embedder

    def search(self, query: str) -> list[str]:
        """The documents of the passages that service finds, each once, best first."""
        found = search(
            *(self.db, self.index, self.lexical, self.embedder, WORKSPACE), query, top_k=FOUND
        )
        return list(dict.fromkeys(passage.document for passage in found))

    def nearest(self, query: str) -> list[tuple[int, float]]:
        """What Chroma alone finds."""
        vector = self.embedder.embed([query])[0]
        return self.index.query(chunks_collection(WORKSPACE, self.embedder), vector, FOUND)


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--chunks", type=int, default=100_000)
    given = parser.parse_args()
    cases = read_cases(given.cases)
    embedder = Embedder()
    with closing(embedder):
        ratio = quality(cases, embedder)
        times = speed(cases, embedder, given.chunks) if given.chunks else 0.0
        rate = ingestion(cases, embedder)
    for missed, said in (
        (ratio < QUALITY_AIM, f"nDCG@10 {ratio:.2f} of the better opponent, aim {QUALITY_AIM}"),
        (times > TIME_AIM, f"p95 {times:.2f} times Chroma's, aim {TIME_AIM}"),
        (rate < RATE_AIM, f"texts come in at {rate:.2f} of the embedder's rate, aim {RATE_AIM}"),
    ):
        if missed:
            print(f"missed: {said}")
    return ratio < QUALITY_AIM or times > TIME_AIM or rate < RATE_AIM


def read_cases(folder: Path) -> Cases:
    """The three files of the collection; every listed document is wanted."""
    rows = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
        for name in ("corpus", "queries", "qrels")
    }
    wanted: dict[str, set[str]] = {}
    for row in rows["qrels"]:
        wanted.setdefault(row["query_id"], set()).add(row["doc_id"])
    return Cases(
        texts={row["doc_id"]: row["text"] for row in rows["corpus"]},
        queries={row["query_id"]: row["text"] for row in rows["queries"]},
        wanted=wanted,
    )


def quality(cases: Cases, embedder: Embedder) -> float:
    """Prints nDCG@10 by query's id, even and odd; returns ours over the better opponent's, odd."""
    with shelf(embedder) as ours:
        folder = ours.datadir.root / "texts"
        folder.mkdir()
        for name, text in cases.texts.items():
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        started = time.perf_counter()
        read = ingest(ours.db, ours.datadir, ours.index, embedder, WORKSPACE, [folder])
        chunks = sum(event.chunks for event in read)
        seconds = time.perf_counter() - started
        print(f"{chunks} chunks of {len(cases.texts)} documents, {seconds:.0f} s")
        ways: dict[str, Callable[[str], Sequence[str]]] = {
            "BM25": _bm25(cases.texts),
            "dense": _dense(cases.texts, embedder),
            "ours": lambda query: [name.removesuffix(".txt") for name in ours.search(query)],
        }
        scores = {name: _scores(cases, way) for name, way in ways.items()}
    print("| nDCG@10 | even ids | odd ids |\n|---|---|---|")
    for name, (even, odd) in scores.items():
        print(f"| {name} | {even:.3f} | {odd:.3f} |")
    return scores["ours"][1] / max(scores["BM25"][1], scores["dense"][1])


def ndcg(found: Sequence[str], wanted: set[str], most: int = 10) -> float:
    """Normalised discounted cumulative gain of binary relevance (Järvelin, Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, one in enumerate(found[:most], 1) if one in wanted)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(most, len(wanted)) + 1))


def _scores(cases: Cases, way: Callable[[str], Sequence[str]]) -> tuple[float, float]:
    score = {id: ndcg(way(text), cases.wanted[id]) for id, text in cases.queries.items()}
    halves = ([value for id, value in score.items() if int(id) % 2 == odd] for odd in (0, 1))
    even, odd = (sum(half) / len(half) for half in halves)
    return even, odd


def _bm25(texts: dict[str, str]) -> Callable[[str], Sequence[str]]:
    db = sqlite3.connect(":memory:")
    db.execute("create virtual table t using fts5(name unindexed, text, tokenize='porter')")
    db.executemany("insert into t values (?, ?)", texts.items())

    def ask(query: str) -> list[str]:
        words = {word for word in "".join(c if c.isalnum() else " " for c in query).split()}
        match = " OR ".join(f'"{word}"' for word in sorted(words))
        found = db.execute("select name from t where t match ? order by bm25(t) limit 10", (match,))
        return [name for (name,) in found]

    return ask


def _dense(texts: dict[str, str], embedder: Embedder) -> Callable[[str], Sequence[str]]:
    names, vectors = list(texts), embedder.embed(list(texts.values()))

    def ask(query: str) -> list[str]:
        near = vectors @ embedder.embed([query])[0]
        return [names[place] for place in np.argsort(-near)[:10]]

    return ask


def speed(cases: Cases, embedder: Embedder, chunks: int) -> float:
    """Prints milliseconds of both ways; returns the ratio of the 95th percentiles."""
    with shelf(embedder) as ours:
        _fill(ours, cases, chunks)
        queries = list(cases.queries.values())
        started = time.perf_counter()
        ours.search(queries[0])
        print(f"first search, reading the words: {time.perf_counter() - started:.1f} s")
        times: dict[str, list[float]] = {"Chroma alone": [], "ours": []}
        ways: dict[str, Callable[[str], object]] = {
            "Chroma alone": ours.nearest,
            "ours": ours.search,
        }
        for query in queries:
            for name, way in ways.items():
                started = time.perf_counter()
                way(query)
                times[name].append(1000 * (time.perf_counter() - started))
    print(f"| {chunks} chunks, ms | median | p95 |\n|---|---|---|")
    for name, taken in times.items():
        print(f"| {name} | {np.median(taken):.1f} | {np.percentile(taken, 95):.1f} |")
    return float(np.percentile(times["ours"], 95) / np.percentile(times["Chroma alone"], 95))


def ingestion(cases: Cases, embedder: Embedder) -> float:
    """Prints seconds and memory; returns the rate of an ingest over the embedder's own.

    The embedder alone gets the chunks that the ingest made, read in their context as there.
    """
    taken, alone, memory = [], [], []
    with shelf(embedder) as ours:
        texts = list(cases.texts.items())
        for part in range(PARTS):
            folder = ours.datadir.root / f"part{part}"
            folder.mkdir()
            for name, text in texts[part * DOCUMENTS : (part + 1) * DOCUMENTS]:
                (folder / f"{name}.txt").write_text(text, encoding="utf-8")
            started = time.perf_counter()
            list(ingest(ours.db, ours.datadir, ours.index, embedder, WORKSPACE, [folder]))
            taken.append(time.perf_counter() - started)
            memory.append(psutil.Process().memory_info().rss / 2**20)
            newest = sorted(one.id for one in list_documents(ours.db, WORKSPACE))[-DOCUMENTS:]
            runs = [_run(ours.db, one) for one in newest]
            started = time.perf_counter()
            embedder.embed_in_context(runs)
            alone.append(time.perf_counter() - started)
    rate = float(np.median(np.array(alone) / np.array(taken)))
    print(f"{PARTS} times {DOCUMENTS} documents: {sum(taken):.0f} s, embedder {sum(alone):.0f} s")
    print(
        f"rate {rate:.2f} of the embedder's; memory {memory[0]:.0f} MB, later {memory[-1]:.0f} MB"
    )
    return rate


def _run(db: Database, document_id: int) -> tuple[str, list[str]]:
    chunks = chunks_of(db, document_id)
    return chunks[0].heading, [chunk.text for chunk in chunks]


def _fill(ours: Shelf, cases: Cases, chunks: int) -> None:
    """Documents of the collection's words, each a piece of a text with its halves turned round.

    Their vectors are random: 100,000 embeddings would take an hour, and Chroma's time does not
    depend on what they mean.
    """
    chance, numbers = random.Random(1), np.random.default_rng(1)
    pieces = _pieces(cases, chance)
    for number in range(-(-chunks // PER_DOCUMENT)):
        put_document(
            *(ours.db, WORKSPACE),
            name=f"{number}.txt",
            hash=str(number),
            media_type="text/plain",
            chunks=[("", next(pieces)) for _ in range(min(PER_DOCUMENT, chunks))],
        )
    hashes = chunk_hashes(ours.db, WORKSPACE)
    ids = list(hashes)
    for start in range(0, len(ids), 1000):
        part = ids[start : start + 1000]
        vectors = numbers.standard_normal((len(part), ours.embedder.dimension), np.float32)
        ours.index.upsert(
            *(chunks_collection(WORKSPACE, ours.embedder), part, vectors),
            [hashes[one] for one in part],
        )


def _pieces(cases: Cases, chance: random.Random, words: int = 65) -> Iterator[str]:
    while True:
        for text in cases.texts.values():
            said = text.split()
            turn = chance.randrange(len(said) + 1)
            said = said[turn:] + said[:turn]
            yield " ".join(said[:words]) or "empty"


@contextmanager
def shelf(embedder: Embedder) -> Iterator[Shelf]:
    """A new data directory in a temporary folder."""
    with ExitStack() as stack:
        datadir = open_datadir(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data")
        db = stack.enter_context(closing(open_database(datadir.database)))
        index = stack.enter_context(closing(FolderIndex(datadir.chroma)))
        yield Shelf(datadir, db, index, LexicalIndex(), embedder)


if __name__ == "__main__":
    sys.exit(main())
