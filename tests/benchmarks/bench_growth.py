"""What a house feels like as it grows: times with 1,000 rows, and how many times that with more.

    python -m tests.benchmarks.bench_growth [--most N] [--times N]

N rows are as many questions, replies and feedback on them, all of the last 30 days, half of them
approved, an override each. Houses of 1,000, 10,000 ... rows are made first, not timed, and are then
measured in turn, so that whatever else the machine does slows all of them. The model is a tiny one
and says one token, so a reply's time is what is around the model. Vectors of corrections are
random: how near they are does not matter here.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import gradio as gr
import numpy as np

from assistant.admin.desk import at_desk
from assistant.admin.feedback import FeedbackTab
from assistant.app import App, open_app
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import visit
from assistant.reply import ReplyOptions, reply
from assistant.security import may_review
from assistant.settings import read_settings
from knowledge.corrections import add_questions
from knowledge.ingest import ingest
from storage.conversations import start_conversation
from storage.database import rows, write_transaction
from storage.gaps import gaps
from storage.pairs import pair_questions
from storage.records import Workspace
from storage.workspaces import set_workspace
from tests.assistant.people import Caller, everybody
from tests.benchmarks.bench_rows import WORDS, fill
from tests.tiny import make_tiny_base

AIM = 1.5
LEAST = 1000
MANY = 50
"""Every so many of the conversations are one person's."""
PAGES = {
    "returns.md": "Goods may be returned within 30 days of delivery, by post or in the shop.",
    "orders.md": "An order that is late by more than a week may be closed by the customer.",
    "stock.md": "The warehouse counts its stock every month; faults are told to the supplier.",
}
_GROWN = """
insert or ignore into instructions_versions (workspace_id, version, text, author)
    values (1, 1, 'Answer shortly.', 'user:1');
update conversations set owner = iif(rowid % :many = 0, :owner, 'visitor:' || rowid % 5000),
    title = 'A question', updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
        '-' || (rowid * 2500000.0 / (select max(rowid) from conversations)) || ' seconds');
update messages set finish_reason = 'stop', relevance = abs(random() % 1000) / 1000.0,
    declined = rowid % 40 = 0, created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
        '-' || (rowid * 2500000.0 / (select max(rowid) from messages)) || ' seconds')
    where role = 'assistant';
update feedback set status = 'new', approved_correction = null, reviewed_at = null, reviewer = null
    where id % 4 = 1;
update feedback set status = 'rejected', approved_correction = null, rating = -1 where id % 4 = 3;
insert into overrides
    (workspace_id, feedback_id, question, question_key, history_key, answer, meaning_key)
    select workspace_id, id, question, question_key, '', approved_correction, question_key
    from feedback where status = 'approved' group by question_key;
"""

Way = Callable[[int], object]


@dataclass(frozen=True)
class House:
    """An app over so many rows, with what is asked of it, by name."""

    rows: int
    ways: dict[str, Way]


def main() -> int:
    """Measures and prints; 1 when something grows by more than the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=40)
    given = parser.parse_args()
    sizes = [LEAST]
    while sizes[-1] * 10 <= given.most:
        sizes.append(sizes[-1] * 10)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_houses:
        base = make_tiny_base(Path(scratch) / "base").folder
        houses = [
            open_houses.enter_context(house(Path(scratch) / str(size), base, size))
            for size in sizes
        ]
        return report(measured(houses, given.times))


@contextmanager
def house(folder: Path, base: Path, size: int) -> Iterator[House]:
    """A data directory in `folder`, grown to `size` rows of each kind."""
    fill(folder, size)
    settings = read_settings(data=folder, base_model=str(base), threads=1, context=2048)
    with open_app(settings) as app:
        ada = everybody(app)["ada"]
        workspace = _grow(app, ada.person.owner)
        _take_in(app, workspace, folder)
        print(f"{size:,} rows are there", flush=True)
        yield House(size, _ways(app, workspace, ada))


def _grow(app: App, owner: str) -> Workspace:
    with closing(app.db()) as db:
        with write_transaction(db):
            for statement in filter(str.strip, _GROWN.split(";\n")):
                db.conn.execute(statement, {"many": MANY, "owner": owner})
        db.conn.execute("analyze")
        return set_workspace(db, "default", "example_tokens", "400")


def _take_in(app: App, workspace: Workspace, folder: Path) -> None:
    """Some documents, and a vector for each pair."""
    pages = folder / "pages"
    pages.mkdir()
    for name, text in PAGES.items():
        (pages / name).write_text(text)
    rng = np.random.default_rng(1)
    with closing(app.db()) as db:
        list(ingest(db, app.datadir, app.index, app.embedder, workspace.id, [pages]))
        asked = pair_questions(db, workspace.id)
        vectors = rng.normal(size=(len(asked), 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        add_questions(app.index, app.embedder, workspace.id, asked, vectors)


def _ways(app: App, workspace: Workspace, ada: Caller) -> dict[str, Way]:
    owner, rng = ada.person.owner, random.Random(1)
    with closing(app.db()) as db:
        known = rows(db, "select question from overrides order by id limit 500")
        own = "select id from conversations where owner = ? order by rowid limit 500"
        talks = [row["id"] for row in rows(db, own, owner)]
    with gr.Blocks():
        parts = lay_out()
        tab = FeedbackTab(app, gr.Dropdown())
    page = ChatEvents(app, parts)

    def ask(question: str) -> object:
        with closing(app.db()) as db:
            talk = start_conversation(db, workspace.id, owner).id
        return list(
            reply(app, workspace, talk, owner, question, options=ReplyOptions(max_tokens=1))
        )

    def chat(turn: int) -> object:
        with visit(app, ada.request(), workspace.name) as caller:
            return page.draw(caller, talks[turn % len(talks)])

    def queue(status: str) -> object:
        return at_desk(app, may_review, tab.show)(ada.request(), workspace.id, status, None)

    def open_gaps(turn: int) -> object:
        with closing(app.db()) as db:
            return gaps(db, workspace.id, floor=0.3)

    return {
        "a reply that is an override": lambda turn: ask(known[turn % len(known)]["question"]),
        "a reply but for the model": lambda turn: ask(" ".join(rng.choices(WORDS, k=7)) + "?"),
        "the chat page, a conversation": chat,
        "feedback, first page of new": lambda turn: queue("new"),
        "feedback, first page of approved": lambda turn: queue("approved"),
        "gaps": open_gaps,
    }


def measured(houses: Sequence[House], times: int) -> dict[str, dict[int, list[float]]]:
    """Milliseconds by way and by rows; each way was walked once before."""
    found: dict[str, dict[int, list[float]]] = {}
    for name in houses[0].ways:
        found[name] = {one.rows: [] for one in houses}
        for turn in range(-1, times):
            for one in houses:
                started = time.perf_counter()
                one.ways[name](turn)
                if turn >= 0:
                    found[name][one.rows].append((time.perf_counter() - started) * 1000)
    return found


def report(found: dict[str, dict[int, list[float]]]) -> int:
    """Prints medians and 95th percentiles, and what each is of that with the fewest rows."""
    missed = []
    for name, by_rows in found.items():
        first = median(by_rows[min(by_rows)])
        first_p95 = _p95(by_rows[min(by_rows)])
        for size, values in by_rows.items():
            half, most = median(values), _p95(values)
            print(
                f"{name:34} {size:>9,} rows: p50 {half:7.1f} ms ({half / first:4.2f} times), "
                f"p95 {most:7.1f} ms ({most / first_p95:4.2f} times)"
            )
            if half > AIM * first:
                missed.append(f"{name} with {size:,} rows")
    print(f"grew by more than {AIM}: {', '.join(missed)}" if missed else f"all within {AIM}")
    return bool(missed)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[round(0.95 * (len(values) - 1))]


if __name__ == "__main__":
    sys.exit(main())
