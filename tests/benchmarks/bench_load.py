"""Many readers at once: what each is told and when, what is lost, what memory does, and one abuser.

    python -m tests.benchmarks.bench_load [--users N] [--minutes M] [--places PLACES]

The website widget, the chat page and a bare `gr.ChatInterface` are asked one after the other by the
same crowd, each server in a process of its own with the same model behind it: one token in 20 ms,
32 readers at once (`stand_in.py`). Whoever was answered asks again; whoever was told that it is
busy waits a second first. Everything stays on this machine's loopback.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil

from storage.database import one, open_database
from storage.keys import create_key
from tests.benchmarks.bench_pages import stand_in_process
from tests.benchmarks.crowd import (
    SIGN,
    SOON_S,
    GradioPage,
    Heard,
    Place,
    Told,
    Widget,
    crowd,
    flooded,
)
from tests.benchmarks.stand_in import LITTLE_REPLY

SLOPE_AIM_MB, RATIO_AIM, ABUSE_AIM, ABUSE_A_SECOND = 1.0, 1.0, 1.2, 50
WATCH_S = 1.0
PLACES = ("widget", "chat page", "gr.ChatInterface")
MANY = 10**9
"""Requests a minute of the widget's key: what is measured is the server, not the key's limit."""

Row = tuple[str, str, bool]
"""What was measured, the figures, whether the aim is met."""


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0, help="for each place")
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--others", type=int, default=20, help="beside the abuser")
    given = parser.parse_args()
    missed = 0
    for what, figures, met in measured(given):
        print(f"{'      ' if met else 'missed'} {what}: {figures}", flush=True)
        missed += not met
    return int(missed > 0)


def measured(given: argparse.Namespace) -> Iterator[Row]:
    """Every row, as soon as it is known."""
    heard: dict[str, Heard] = {}
    for name in given.places:
        with tempfile.TemporaryDirectory() as scratch, served(name, Path(scratch)) as server:
            heard[name] = asyncio.run(crowd(server.place, given.users, given.minutes * 60))
            yield from told(name, heard[name], server)
            if server.database:
                yield lost(name, heard[name], server)
                yield memory(name, server)
        if name != "gr.ChatInterface":
            yield abuse(name, given.others, min(30.0, given.minutes * 60))
    if "gr.ChatInterface" in heard:
        for name in given.places[:-1]:
            yield throughput(name, heard[name], heard["gr.ChatInterface"])


@dataclass
class Server:
    """A server in a process of its own, watched."""

    place: Place
    process: psutil.Process
    database: Path | None
    resident: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, MB) of the process, once a second."""

    def watch(self, ended: threading.Event) -> None:
        """Fills `resident` until told to end, or the process is gone."""
        while not ended.wait(WATCH_S) and self.process.is_running():
            self.resident.append((time.monotonic(), self.process.memory_info().rss / 1e6))


@contextmanager
def served(name: str, folder: Path) -> Iterator[Server]:
    """The server that a place is at."""
    ended = threading.Event()
    with ExitStack() as opened:
        opened.callback(ended.set)
        kind = "bare" if name == "gr.ChatInterface" else "ours"
        url, pid = opened.enter_context(stand_in_process(kind, folder))
        database = folder / "data" / "apprentice.db" if kind == "ours" else None
        place: Place
        if name == "widget":
            assert database is not None
            with closing(open_database(database)) as db:
                known = {"kind": "embed", "workspace_id": 1, "per_minute": MANY, "actor": "bench"}
                key = create_key(db, "load", origins=["https://shop.example"], **known)[1]
            place = Widget(url, key)
        else:
            place = GradioPage(url, *(("answer",) if kind == "bare" else ("send", SIGN)))
        asyncio.run(crowd(place, 2, 1.0))  # the first words take longer: everything opens
        server = Server(place, psutil.Process(pid), database)
        threading.Thread(target=server.watch, args=(ended,), daemon=True).start()
        yield server


def told(name: str, heard: Heard, server: Server) -> Iterator[Row]:
    """Who was answered or told to wait within two seconds; crashes and broken answers."""
    busy, answered, gone = heard.of("busy"), heard.of("answered"), heard.of("lost")
    late = sorted(one.first_s for one in heard.told if one.kind == "lost" or one.first_s > SOON_S)
    figures = f"{heard.soon():.2%} of {len(heard.told)} within 2 s, p50 {heard.first(50):.2f} s, "
    figures += f"p95 {heard.first(95):.2f} s; {len(late)} later, the last after {late[-1:]} s; "
    figures += f"{len(answered)} answered, {len(busy)} told busy "
    figures += "(aim 100%)"
    yield f"{name}, first sign", figures, heard.soon() == 1.0 or name == "gr.ChatInterface"
    why = Counter(one.why for one in gone).most_common(3)
    alive = server.process.is_running()
    figures = (
        f"{len(gone)} of {len(heard.told)} {why or ''}, the server {'runs' if alive else 'died'}"
    )
    yield f"{name}, broken off", figures, alive and not gone or name == "gr.ChatInterface"


def lost(name: str, heard: Heard, server: Server) -> Row:
    """Replies that a reader saw whole and that the database does not have so."""
    assert server.database is not None
    seen = heard.of("answered")
    with closing(open_database(server.database)) as db:
        missing = sum(not _kept(db, one) for one in seen)
    return f"{name}, words lost", f"{missing} of {len(seen)} replies (aim 0)", missing == 0


def _kept(db: object, told: Told) -> bool:
    sql = "select content from messages where ? in (id, conversation_id) and finish_reason = 'stop'"
    row = one(db, sql, told.id)  # type: ignore[arg-type]
    return row is not None and row["content"] == LITTLE_REPLY


def memory(name: str, server: Server) -> Row:
    """How the process grows in the second half, when everything is open."""
    half = server.resident[len(server.resident) // 2 :]
    if len(half) < 2:
        return f"{name}, memory", "watched too shortly", True
    seconds, megabytes = np.array(half).T
    slope = 60 * float(np.polyfit(seconds - seconds[0], megabytes, 1)[0])
    span = seconds[-1] - seconds[0]
    figures = f"{slope:+.2f} MB a minute over {span:.0f} s, at most {megabytes.max():.0f} MB "
    return f"{name}, memory", f"{figures}(aim {SLOPE_AIM_MB:g})", slope <= SLOPE_AIM_MB


def throughput(name: str, ours: Heard, other: Heard) -> Row:
    """Whole answers a second over those of the opponent."""
    ratio = ours.rate() / other.rate() if other.rate() else float("inf")
    figures = f"{ours.rate():.1f} answers a second, gr.ChatInterface {other.rate():.1f}: "
    return f"{name}, throughput", f"{figures}{ratio:.2f} (aim {RATIO_AIM:g})", ratio >= RATIO_AIM


def abuse(name: str, others: int, seconds: float) -> Row:
    """The others' wait for a first sign beside one who asks fifty times a second, over without."""
    with tempfile.TemporaryDirectory() as scratch, served(name, Path(scratch)) as server:
        alone = asyncio.run(crowd(server.place, others, seconds))
        beside, abuser = _both(server.place, others, seconds)
    ratio = beside.first(95) / alone.first(95) if alone.first(95) else float("inf")
    figures = f"p95 {beside.first(95):.2f} s, alone {alone.first(95):.2f} s: {ratio:.2f} "
    refused = len(abuser.of("busy")) / max(1, len(abuser.told))
    figures += f"(aim {ABUSE_AIM:g}); {refused:.0%} of the abuser's {len(abuser.told)} refused, "
    figures += f"{len(beside.of('busy'))} of the others' {len(beside.told)}"
    return f"{name}, one abuser", figures, ratio <= ABUSE_AIM


def _both(place: Place, others: int, seconds: float) -> tuple[Heard, Heard]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(flooded, place, 1.0, 0.0).result()  # the process is there and has its modules
        abuser = pool.submit(flooded, place, ABUSE_A_SECOND, seconds)
        return asyncio.run(crowd(place, others, seconds)), abuser.result()


if __name__ == "__main__":
    sys.exit(main())
