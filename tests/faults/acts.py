"""What a crash may not tear: one act on a data directory, then a word on standard output.

    python tests/faults/acts.py ACT FOLDER

A program of its own, so that it can be traced; what it says it must have kept.
"""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from storage.adapters import add_adapter, promote, rollback
from storage.backup import make_backup, restore_backup
from storage.conversations import add_message
from storage.database import open_database, prepare_database, rows
from storage.datadir import DataDir
from storage.erasure import ask_erasure, erase_rows
from storage.erasure_scope import scope_of
from storage.feedback import add_feedback, approve
from storage.rounds import create_round, finish_round


def correct(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        message = str(next(db.query("select id from messages where role = 'assistant'"))["id"])
        return add_feedback(
            db, message_id=message, origin="staff", contributor="user:1", correction="30 days."
        ).id


def say_yes(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        return approve(db, 1, reviewer="user:2").id


def say_yes_to_the_newest(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        [newest] = rows(db, "select max(id) as id from feedback")
        return approve(db, int(newest["id"]), reviewer="user:2").id


def say_otherwise(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        return approve(db, 1, reviewer="user:2", correction="31 days.").id


def teach_round(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        made = create_round(db, 1, config={}, base_fingerprint="b")
        return finish_round(db, made.id, state="done", verdict="promote").id


def erase(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        asked = ask_erasure(db, "feedback", "2", actor="user:2")
        return erase_rows(db, asked.id, scope_of(db, "feedback", "2"), actor="user:2").id


def answer(folder: Path) -> str:
    with open_database(DataDir(folder).database) as db:
        asked = next(db.query("select conversation_id, id from messages where role = 'user'"))
        talk = str(asked["conversation_id"])
        return add_message(
            db,
            talk,
            "assistant",
            "Within 30 days.",
            parent_id=str(asked["id"]),
            finish_reason="stop",
        ).id


def serve_second(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        return promote(db, 2, actor="user:2").id


def roll_back(folder: Path) -> int:
    with open_database(DataDir(folder).database) as db:
        back = rollback(db, 1, actor="user:2")
        return back.id if back else 0


def save(folder: Path) -> int:
    from tuning.adapter_files import manifest_hash, save_adapter

    facts = json.loads((folder / "facts.json").read_text())
    saved = folder / "adapters" / "3"
    save_adapter(folder / "weights", saved, metrics={"loss": 0.1}, round_id=1, **facts)
    with open_database(DataDir(folder).database) as db:
        return add_adapter(
            *(db, 1),
            round_id=1,
            parent_id=None,
            base_fingerprint=facts["base_fingerprint"],
            method=facts["method"],
            manifest_hash=manifest_hash(saved),
            metrics={},
        ).id


def take_in(folder: Path) -> str:
    from knowledge.dense_folder import FolderIndex
    from knowledge.embedding import Embedder
    from knowledge.ingest import ingest

    datadir = DataDir(folder)
    with (
        closing(FolderIndex(folder.parent / "chroma")) as index,  # made anew when it is lost
        closing(Embedder()) as embedder,
        open_database(datadir.database) as db,
    ):
        [event] = ingest(db, datadir, index, embedder, 1, [folder.parent / "returns.md"])
    return event.status


def back_up(folder: Path) -> int:
    return make_backup(DataDir(folder), folder / "backups" / "kept.tar", actor="user:2").id


def restore(folder: Path) -> str:
    return str(restore_backup(folder / "kept.tar", folder / "data")["format"])


def migrate(folder: Path) -> str:
    prepare_database(DataDir(folder).database)
    return "migrated"


ACTS: dict[str, Callable[[Path], int | str]] = {
    act.__name__: act
    for act in (
        *(answer, correct, say_yes, serve_second, roll_back),
        *(save, take_in, back_up, restore, migrate),
        *(say_yes_to_the_newest, say_otherwise, teach_round, erase),
    )
}

if __name__ == "__main__":
    said = ACTS[sys.argv[1]](Path(sys.argv[2]))
    print(said, flush=True)
