"""A million approved corrections, from SQLite to a bundle: seconds of each step, and the memory.

    python -m tests.benchmarks.bench_rows [--rows N] [--data FOLDER]

The rows are written to a data directory first, not timed; a FOLDER that holds them already is used
as it is. Then a process of its own merges, splits, reads and writes them, and another one does it
the plain way: a list of dictionaries from one SELECT, merged by a dictionary, written by json.
Making prompts and token ids is apart: both take ids that cost nearly nothing, and their time and
that of the prompts is given beside.
"""

import argparse
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from assistant.prompt import build_messages
from storage.database import open_database, prepare_database, write_transaction
from storage.overrides import normalise
from storage.pairs import each_pair, wordings
from storage.records import ChatMessage, Pair
from storage.text import to_json
from tuning.bundle import TrainRow, write_bundle
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.split import split

SECONDS_AIM, MEMORY_AIM = 60.0, 1e9
WORKSPACE = 1
STEPS = ("merge", "split", "read", "write")
WORDS = (
    *("order", "late", "closed", "open", "list", "show", "which", "customer", "invoice", "week"),
    *("month", "total", "count", "item", "return", "fault", "stock", "please", "supplier", "now"),
    *("delivery", "warehouse", "region", "price", "discount", "shipped", "paid", "overdue", "tax"),
)
INSTRUCTIONS = (
    "You answer questions about the sales database of a company with one SQL query and nothing "
    "else. Tables: orders, items, customers, invoices."
)
WORDINGS = (1, 1, 2, 3, 3, 4, 5, 8, 12)
"""How many wordings a need has, each as likely as the others."""
AGAIN, SAME = 0.1, 0.05
"""Shares of wordings that are corrected once more, and that are on record as a duplicate."""
BATCH = 20_000
TIMED = 100
"""Items between two looks at the clocks, which take a microsecond."""
PLAIN = """
select f.id, f."group", f.question_key, f.history_key, f.approved_correction, m.inputs, m.content
from feedback f join messages m on m.id = f.message_id
where f.workspace_id = 1 and f.status = 'approved' order by f.reviewed_at, f.id
"""

Item = TypeVar("Item")


def main() -> int:
    """Measures and prints; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--part", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--bundle", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        way = ours if given.part == "ours" else plain
        print(json.dumps(way(given.data, given.bundle)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data or Path(scratch)
        if not (folder / "apprentice.db").exists():
            fill(folder, given.rows)
        found = {part: _measured(folder, part) for part in ("ours", "plain")}
    return _report(found["ours"], found["plain"])


def fill(folder: Path, count: int, seed: int = 1) -> None:
    """A data directory's database in `folder` with `count` approved corrections of one workspace.

    They come in needs of some wordings; some are corrected twice, some on record as duplicates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prepare_database(folder / "apprentice.db")
    with closing(open_database(folder / "apprentice.db")) as db:
        db.conn.execute("pragma cache_size = -400000")
        with write_transaction(db):
            db.conn.execute("insert or ignore into workspaces (id, name) values (1, 'default')")
            made = _corrections(count, random.Random(seed))
            while batch := list(islice(made, BATCH)):
                _insert(db.conn, batch)


def _corrections(count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Rows by id; `same_as` is the id of the one that they say the same as, or None."""
    number = need = 0
    while number < count:
        need += 1
        words = rng.choices(WORDS, k=rng.randint(5, 9))
        answer = (
            f"SELECT {rng.choice(WORDS)}, COUNT(*) FROM {rng.choice(WORDS)}s WHERE "
            f"{rng.choice(WORDS)} = '{rng.choice(WORDS)}' GROUP BY 1 LIMIT {need};"
        )
        question = ""
        for turn in range(min(rng.choice(WORDINGS), count - number)):
            number += 1
            again = turn and rng.random() < AGAIN
            same_as = number - 1 if turn and not again and rng.random() < SAME else None
            if not again:
                words[rng.randrange(len(words))] = rng.choice(WORDS)
                question = f"{' '.join(words).capitalize()} {need}, {turn}?"
            yield {
                "id": number,
                "message": f"{rng.getrandbits(128):032x}",
                "need": f"need {need}",
                "question": question,
                "answer": answer,
                "same_as": same_as,
                "passages": [_passage(need)] if number % 5 == 0 else [],
            }


def _passage(need: int) -> dict[str, Any]:
    text = " ".join(WORDS)
    names = ("chunk_id", "document_id", "score", "similarity", "dense_rank", "lexical_rank")
    facts = dict.fromkeys((*names, "source_url")) | {"chunk_id": 0, "document_id": 0, "score": 1.0}
    return {**facts, "document": "handbook.md", "text": f"{text} {need}", "hash": f"h{need}"}


def _insert(connection: Any, rows: list[dict[str, Any]]) -> None:
    """The rows as `add_feedback` and `approve` leave them, a conversation each."""
    for row in rows:
        inputs = {
            "question": row["question"],
            "instructions": INSTRUCTIONS,
            "instructions_version": 1,
            "passages": row["passages"],
        }
        key = normalise(row["question"])
        row |= {
            "inputs": to_json(inputs),
            "key": key,
            "duplicate": sha256(f"{key} {row['answer']}".encode()).hexdigest(),
            "at": f"2026-01-01T00:00:00.{row['id']:09}Z",
        }
    connection.executemany(
        "insert into conversations (id, workspace_id, owner) values (:message, 1, 'import')", rows
    )
    connection.executemany(
        """insert into messages (id, conversation_id, role, content)
        values ('q' || :message, :message, 'user', :question)""",
        rows,
    )
    connection.executemany(
        """insert into messages
            (id, conversation_id, parent_id, role, content, inputs, finish_reason)
        values (:message, :message, 'q' || :message, 'assistant', 'I do not know.', :inputs,
            'imported')""",
        rows,
    )
    connection.executemany(
        """insert into feedback (id, workspace_id, message_id, origin, contributor, status,
            correction, approved_correction, "group", question, question_key, history_key,
            duplicate_key, reviewer, reviewed_at)
        values (:id, 1, :message, 'import', 'c', 'approved', :answer, :answer, :need, :question,
            :key, '', :duplicate, 'user:1', :at)""",
        rows,
    )
    connection.executemany(
        "insert into duplicates (feedback_id, same_as) values (:id, :same_as)",
        [row for row in rows if row["same_as"]],
    )


def ours(folder: Path, bundle: Path) -> dict[str, Any]:
    """What a round does: the split first, then what judges, then row by row what trains."""
    clock = Clock()
    with closing(open_database(folder / "apprentice.db")) as db:
        merged = list(clock.timed("merge", wordings(db, WORKSPACE)))
        started = now()
        splits = split(merged, salt="default")
        clock.add("split", started)
        held = [one.feedback_id for one in merged if splits[one.feedback_id] != "train"]
        merged.clear()
        judging = clock.timed("read", each_pair(db, WORKSPACE, held))
        cases = list(clock.timed("prompts", (_case(pair) for pair in judging)))
        pairs = clock.timed("read", each_pair(db, WORKSPACE))
        rows = (_row(pair) for pair in pairs if splits[pair.feedback_id] == "train")
        started = now()
        written = write_bundle(
            bundle,
            config=RoundConfig(),
            base_fingerprint="0" * 64,
            train=clock.timed("prompts", rows),
            heldout=cases,
        )
        clock.add("write", started)
    # a step's time has that of the steps before it in it, which hand it their items
    clock.take_off("write", "prompts")
    clock.take_off("prompts", "read")
    return clock.result(pairs=len(splits), rows=len(written.train), held=len(cases))


def _row(pair: Pair) -> TrainRow:
    messages = build_messages(pair.inputs)
    return TrainRow(
        id=str(pair.feedback_id),
        group=pair.group,
        messages=tuple(messages),
        prompt_ids=_ids(pair, messages),
        completion=pair.chosen,
        completion_ids=tuple(range(1000, 1000 + len(pair.chosen) // 4)),
        rejected=pair.rejected,
        rejected_ids=tuple(range(1000, 1000 + len(pair.rejected or "") // 4)),
    )


def _case(pair: Pair) -> Case:
    messages = build_messages(pair.inputs)
    ids = _ids(pair, messages)
    said = {"id": str(pair.feedback_id), "group": pair.group, "expected": pair.chosen}
    return Case(**said, slice="new wordings", messages=tuple(messages), prompt_ids=ids)


def _ids(pair: Pair, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
    """As many ids as the text has tokens, about, and other ones for another pair."""
    count = sum(len(message["content"]) for message in messages) // 4
    return (*divmod(pair.feedback_id, 30_000), *range(10_000, 10_000 + count))


def plain(folder: Path, bundle: Path) -> dict[str, Any]:
    """What somebody writes in an afternoon; every row and every line is held in memory."""
    clock = Clock()
    connection = sqlite3.connect(folder / "apprentice.db")
    connection.row_factory = sqlite3.Row
    started = now()
    found = [dict(row) for row in connection.execute(PLAIN)]
    clock.add("read", started)
    started = now()
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in found:
        newest[row["question_key"], row["history_key"]] = row
    clock.add("merge", started)
    started = now()
    groups = sorted({row["group"] for row in newest.values()})
    held = set(random.Random(1).sample(groups, len(groups) // 100))
    taught = [row for row in newest.values() if row["group"] not in held]
    clock.add("split", started)
    started = now()
    lines = [json.dumps(_plain_line(row)) for row in taught]
    bundle.write_text("\n".join(lines))
    clock.add("write", started)
    return clock.result(pairs=len(newest), rows=len(lines), held=len(newest) - len(lines))


def _plain_line(row: dict[str, Any]) -> dict[str, Any]:
    inputs = json.loads(row["inputs"])
    texts = [passage["text"] for passage in inputs["passages"]]
    messages = [
        {"role": "system", "content": inputs["instructions"]},
        {"role": "user", "content": "\n".join([*texts, inputs["question"]])},
    ]
    count = sum(len(message["content"]) for message in messages) // 4
    return {
        **{"id": str(row["id"]), "group": row["group"], "messages": messages},
        "prompt_ids": [*divmod(row["id"], 30_000), *range(10_000, 10_000 + count)],
        "completion": row["approved_correction"],
        "completion_ids": list(range(1000, 1000 + len(row["approved_correction"]) // 4)),
        "rejected": row["content"],
        "rejected_ids": list(range(1000, 1000 + len(row["content"]) // 4)),
    }


Times = tuple[float, float]
"""Seconds that went by, and seconds that this process computed."""


def now() -> Times:
    """The time now by both clocks."""
    return time.perf_counter(), time.process_time()


class Clock:
    """Both times of each step; what an iterator takes is put to its step."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = {}

    def timed(self, step: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items, the time that they take to come noted under `step`; TIMED are made ahead."""
        left = iter(items)
        while True:
            started = now()
            batch = list(islice(left, TIMED))
            self.add(step, started)
            if not batch:
                return
            yield from batch

    def add(self, step: str, started: Times) -> None:
        """Notes the time since `started`."""
        before, after = self.times.get(step, (0.0, 0.0)), now()
        self.times[step] = (
            before[0] + after[0] - started[0],
            before[1] + after[1] - started[1],
        )

    def take_off(self, step: str, other: str) -> None:
        """Of a step's times, those of another one."""
        whole, part = self.times[step], self.times[other]
        self.times[step] = (whole[0] - part[0], whole[1] - part[1])

    def result(self, **facts: Any) -> dict[str, Any]:
        """All of it, with the peak memory of this process."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {**facts, "times": self.times, "peak": peak}


def _measured(folder: Path, part: str) -> dict[str, Any]:
    """One way in a process of its own; its bundle is thrown away."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "tests.benchmarks.bench_rows", "--part", part]
        command += ["--data", str(folder), "--bundle", str(Path(scratch) / "bundle")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _report(own: dict[str, Any], other: dict[str, Any]) -> int:
    for name, found in (("ours", own), ("plain", other)):
        wall, cpu = _sum(found)
        steps = ", ".join(f"{step} {_both(found, step)}" for step in STEPS)
        print(f"{name:6} {wall:.1f} s, computing {cpu:.1f} ({steps}), {found['peak'] / 1e9:.2f} GB")
        print(
            f"{'':6} {found['pairs']:,} pairs, {found['rows']:,} written, {found['held']:,} held "
            f"out; prompts and ids apart: {_both(found, 'prompts')}"
        )
    (seconds, computed), (theirs, _) = _sum(own), _sum(other)
    print(f"plain: {theirs / seconds:.2f} times as long, {other['peak'] / own['peak']:.1f} times")
    print(f"the memory; bars: under {SECONDS_AIM:.0f} s and under {MEMORY_AIM / 1e9:g} GB")
    if seconds >= SECONDS_AIM > computed:
        print("the machine was busy with other things: it computed for less than the bar")
    return int(seconds >= SECONDS_AIM or own["peak"] >= MEMORY_AIM)


def _sum(found: dict[str, Any]) -> Times:
    times = [found["times"].get(step, (0.0, 0.0)) for step in STEPS]
    return sum(wall for wall, _ in times), sum(cpu for _, cpu in times)


def _both(found: dict[str, Any], step: str) -> str:
    wall, cpu = found["times"].get(step, (0.0, 0.0))
    return f"{wall:.1f}/{cpu:.1f}"


if __name__ == "__main__":
    sys.exit(main())
