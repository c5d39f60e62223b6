"""How long a workspace takes to another cell, and how long nobody answers for it meanwhile.

    python -m tests.benchmarks.bench_cells [--messages 10000] [--chunks 10000] [--asking 2]

Two servers on the tiny base, in processes of their own, on this machine; vectors of the default
embedder's size, random ones. Aims: 60 s, 2 s.
"""

import argparse
import json
import os
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from storage.conversations import new_id
from storage.database import insert, open_database, write_transaction
from storage.documents import put_document
from storage.keys import create_key
from storage.text import to_json
from storage.workspaces import create_workspace, set_workspace
from tests.fleet import NAME, known, settings_at, two_cells
from tests.running_cells import (
    Asker,
    Looker,
    asked_all_the_time,
    free_ports,
    move_by_command,
    servers,
    straight,
)
from tests.tiny import make_tiny_base

WIDTH = 384
"""Numbers of a vector, as the default embedder makes them."""
PER_TALK = 10
PER_DOCUMENT = 100


def fill(folder: Path, messages: int, chunks: int) -> str:
    """The workspace with its words and vectors in the first cell; returns an API key."""
    from assistant.app import open_app

    chance = random.Random(1)
    words = [f"word{number}" for number in range(2000)]

    def text(count: int) -> str:
        return " ".join(chance.choices(words, k=count))

    with closing(open_database(known(folder, "a").datadir.database)) as db:
        made = create_workspace(db, NAME, instructions="Be brief.")
        set_workspace(db, NAME, "relevance_floor", "1.0")
        with write_transaction(db):
            for number in range(messages // PER_TALK):
                _talk(db, made.id, number, text)
        for number in range(chunks // PER_DOCUMENT):
            parts = [("Heading", text(60)) for _ in range(PER_DOCUMENT)]
            known_of = {"hash": f"h{number}", "media_type": "text/markdown", "chunks": parts}
            put_document(db, made.id, name=f"d{number}.md", **known_of)
        found = db.execute("select id, hash from chunks").fetchall()
        known_limits = {"workspace_id": made.id, "per_minute": 1_000_000, "actor": "bench"}
        _, token = create_key(db, "bench", **known_limits)
    vectors = np.random.default_rng(0).normal(size=(len(found), WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with open_app(settings_at(folder, "a")) as app:
        name = f"chunks-{made.id}-{app.embedder.slug}"
        app.index.upsert(name, [row[0] for row in found], vectors, [row[1] for row in found])
    return token


def _talk(db, workspace_id: int, number: int, text) -> None:  # type: ignore[no-untyped-def]
    talk, parent = new_id(), None
    insert(db, "conversations", id=talk, workspace_id=workspace_id, owner=f"visitor:{number}")
    for turn in range(PER_TALK):
        reply = turn % 2 == 1
        passages = [{"text": text(60), "hash": "h", "document_id": 1} for _ in range(4)]
        made = {
            "inputs": to_json({"question": text(12), "passages": passages}),
            "sent_ids": to_json([turn] * 500),
            "finish_reason": "stop",
        }
        message = new_id()
        insert(
            *(db, "messages"),
            **{"id": message, "conversation_id": talk, "parent_id": parent},
            **{"role": "assistant" if reply else "user", "content": text(40)},
            **(made if reply else {}),
        )
        parent = message


def measure(folder: Path, base: Path, token: str, asking: int) -> dict[str, object]:
    """One move with so many who ask all the time."""
    askers = [Asker(token, straight(folder)) for _ in range(asking)]
    looker = Looker(token, straight(folder))
    with asked_all_the_time(askers, looker):
        time.sleep(2)
        began = time.monotonic()
        done = move_by_command(folder, base, "b")
        took = time.monotonic() - began
        time.sleep(1)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    with closing(open_database(known(folder, "b").datadir.database)) as db:
        there = {row[0] for row in db.execute("select content from messages").fetchall()}
    lost = [q for one in askers for q, _ in one.answered if q not in there]
    return {
        "seconds": round(took, 1),
        "nobody_answered_s": round(looker.longest_s, 2),
        "stood_still_ms": told["still_ms"],
        "rows": told["rows"],
        "answered_meanwhile": sum(len(one.answered) for one in askers),
        "refused_and_asked_again": sum(len(one.refused) for one in askers),
        "lost": len(lost),
    }


def main() -> None:
    """Fill, move, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--asking", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["APPRENTICE_SIGNING_KEY"] = str(folder / "keys" / "signing.key")
        base = make_tiny_base(folder / "base").folder
        one, two = free_ports(2)
        two_cells(folder, ports=(one, two))
        token = fill(folder, given.messages, given.chunks)
        size = known(folder, "a").datadir.database.stat().st_size
        print(json.dumps({"database_mb": round(size / 1e6)}), flush=True)
        with servers(folder, base):
            print(json.dumps(measure(folder, base, token, given.asking)), flush=True)


if __name__ == "__main__":
    main()
