"""Erasing in order: the rows, what was made of them, the files; then a search, and a certificate.

Each step may be done twice, and the erasure's row says which are over, so one that was cut off is
finished by the next that is asked for, or when the server starts. Weights are not unlearned: what
learned from the rows is deleted, and a round on what remains makes another.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.certificate import write_certificate
from assistant.signing import is_signed, sign_made
from storage import erasure as erasures
from storage import jobs, rounds
from storage.adapters import known_adapter, serving_adapter
from storage.backup import recorded_backups
from storage.database import compact, write, write_transaction
from storage.durable import put_text
from storage.erased_text import chosen, find_in_files, without
from storage.erasure import Erasure
from storage.erasure_requests import approve_request, erasure_request
from storage.erasure_scope import Scope, running_rounds_with, scope_of
from storage.errors import ApprenticeError, Refused
from storage.records import TuningRound
from storage.workspaces import workspace_by_id

log = logging.getLogger(__name__)

Say = Callable[[float | None, str], None]

ERASED = "erased.json"
"""In a round's folder, in place of what it learned from."""
STOP_S = 60.0
"""Seconds that a running round which uses the rows gets to stop."""


def _silent(share: float | None, note: str) -> None:
    pass


def erase(
    app: App, kind: str, subject: str, *, actor: str, say: Say = _silent
) -> tuple[Erasure, bool]:
    """Erase it wholly and write the certificate; returns the erasure, and whether it was over.

    NotFound for what never was, Refused while a round that learns from it does not stop.
    """
    with closing(app.db()) as db:
        known = erasures.ask_erasure(db, kind, subject, actor=actor)
    return finish(app, known, say=say), known.state == "done"


def approve(app: App, request_id: int, *, actor: str, say: Say = _silent) -> Erasure:
    """Say yes to somebody's request: erase what it names. Refused when it was decided already."""
    with closing(app.db()) as db:
        asked = erasure_request(db, request_id)
        if asked.state != "pending":
            raise Refused(f"Erasure request {request_id} is already {asked.state}.")
        known, _ = erase(app, asked.kind, asked.subject, actor=actor, say=say)
        approve_request(db, request_id, known.id, actor=actor)
        write_certificate(db, app.datadir, known)
    return known


def finish_unfinished(app: App, *, say: Say = _silent) -> list[Erasure]:
    """Do the rest of erasures that were cut off, and certify rounds that ended; returns them."""
    with closing(app.db()) as db:
        settle(app, db)
        left = erasures.unfinished(db)
    return [finish(app, known, say=say) for known in left]


def settle(app: App, db: Database) -> None:
    """What is left to do for finished ones: words kept too long go, ended rounds are certified."""
    for known in erasures.list_erasures(db):
        if known.state == "done":
            _drop_words(_words_file(app, known))
            if known.retrain == "wanted":
                certify(app, db, known.id)


def finish(app: App, known: Erasure, *, say: Say = _silent) -> Erasure:
    """The steps that are not over yet, in order."""
    with closing(app.db()) as db:
        if known.state == "asked":
            say(0.05, "deleting the rows")
            known = _rows(app, db, known)
        if known.state == "rows":
            say(0.3, "deleting what was made of them")
            known = _files(app, db, known)
        if known.state == "files":
            say(0.6, "searching what is left")
            known = _search(app, db, known)
    return known


def begin_retraining(
    app: App, known: Erasure, workspace_id: int, *, actor: str, dials: Mapping[str, Any] | None
) -> TuningRound | None:
    """Start a round on what remains in one workspace; None when there is too little, as noted."""
    from assistant.rounds import start_round

    with closing(app.db()) as db:
        workspace = workspace_by_id(db, workspace_id)
        try:
            queued = start_round(app, workspace, dials=dials, actor=actor)
        except ApprenticeError as error:
            _note_round(db, known.id, workspace.name, {"round": None, "error": str(error)})
            return None
        erasures.set_retrain(db, known.id, "wanted")
        _note_round(db, known.id, workspace.name, {"round": queued.id})
        return queued


def affected(db: Database, known: Erasure) -> list[int]:
    """The workspaces of adapters that learned from the rows."""
    return sorted({known_adapter(db, id).workspace_id for id in known.detail["adapters"]})


def certify(app: App, db: Database, erasure_id: int) -> Erasure:
    """Write the certificate again: with rounds that have ended, and what holds it by now."""
    known = erasures.erasure(db, erasure_id)
    results = [_ended(db, item) for item in known.detail.get("retrained", ())]
    serving = {str(id): _serving(db, id) for id in known.detail["workspaces"]}
    known = erasures.note(db, erasure_id, retrained=results, serving=serving)
    if known.retrain == "wanted" and all("running" not in item for item in results):
        known = erasures.set_retrain(db, erasure_id, "done")
    write_certificate(db, app.datadir, known)
    return known


# ---- the steps


def _rows(app: App, db: Database, known: Erasure) -> Erasure:
    """The words are kept in a file until the end: to know them again where they still stand."""
    _stop_rounds(db, scope_of(db, known.kind, known.subject))
    scope = scope_of(db, known.kind, known.subject)
    _keep_words(_words_file(app, known), scope)
    return erasures.erase_rows(db, known.id, scope, actor=known.actor)


def _stop_rounds(db: Database, scope: Scope) -> None:
    give_up = time.monotonic() + STOP_S
    while running := running_rounds_with(db, scope):
        for round_id in running:
            jobs.request_cancel(db, rounds.tuning_round(db, round_id).job_id)
        if time.monotonic() > give_up:
            raise Refused(f"Round {running[0]} learns from it and does not stop: try again later.")
        time.sleep(0.2)


def _files(app: App, db: Database, known: Erasure) -> Erasure:
    sought = _sought(app, db, known)
    for adapter_id in known.detail["adapters"]:
        app.forget_adapter(adapter_id)
        shutil.rmtree(app.adapter_folder(adapter_id), ignore_errors=True)
    for folder in _rounds_with(app, known, sought):
        _empty_round(folder, known)
    _rewrite_cards(app, db, known, sought)
    _forget_vectors(app, known)
    return erasures.set_state(db, known.id, "files")


def _search(app: App, db: Database, known: Erasure) -> Erasure:
    """Rewrites the database file, looks for the words in every file, and writes it all down."""
    emptied = compact(db) and _words_file(app, known).exists()
    sought = _sought(app, db, known)
    places = (app.datadir.models, app.datadir.documents, app.datadir.backups)
    backups = [Path(item.path) for item in recorded_backups(db)]
    skip = [*places, *backups, _words_file(app, known)]
    left = find_in_files(app.datadir.root, sought, skip=skip, encode=_encode(app, known))
    known = erasures.note(
        db,
        known.id,
        verified=not left and emptied,
        sought=len(chosen(sought)),
        left=left,
        serving={str(id): _serving(db, id) for id in known.detail["workspaces"]},
    )
    write_certificate(db, app.datadir, known)
    known = erasures.set_state(db, known.id, "done")
    write_certificate(db, app.datadir, known)
    _drop_words(_words_file(app, known))
    return known


# ---- the words


def _words_file(app: App, known: Erasure) -> Path:
    return app.datadir.certificates / f".words-{known.id}.json"


def _keep_words(path: Path, scope: Scope) -> None:
    put_text(path, json.dumps({"words": scope.words, "replies": scope.replies}))


def _sought(app: App, db: Database, known: Erasure) -> list[str]:
    """What must be found nowhere; nothing when the file of words is gone."""
    path = _words_file(app, known)
    if not path.exists():
        return []
    said = json.loads(path.read_text())
    return erasures.words_sought(db, said["words"], said["replies"])


def _drop_words(path: Path) -> None:
    """Overwritten first: the file's blocks may be given to nobody for long."""
    if path.exists():
        with path.open("r+b") as file:
            file.write(b"\0" * path.stat().st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


def _encode(app: App, known: Erasure) -> Callable[[str], list[int]] | None:
    """The tokenizer, where there may be token ids of the words: only rounds write them to files."""
    if not known.detail["rounds"] and not app.has("tokenizer"):
        return None
    try:
        return app.tokenizer.encode
    except ApprenticeError as error:
        log.warning("token ids are not searched for: %s", error)
        return None


# ---- what was made of them


def _rounds_with(app: App, known: Erasure, sought: list[str]) -> list[Path]:
    """The folders of rounds that used a row, or that hold its words all the same."""
    names = {str(id) for id in known.detail["rounds"]}
    found = find_in_files(app.datadir.rounds, sought, encode=_encode(app, known))
    names |= {Path(name).parts[0] for name in found}
    for name in [name for name in names if not name.isdigit()]:  # what a crash left behind
        names.discard(name)
        left = app.datadir.rounds / name
        left.unlink() if left.is_file() else shutil.rmtree(left)
    return [app.datadir.rounds / name for name in sorted(names)]


def _empty_round(folder: Path, known: Erasure) -> None:
    """A bundle without some of its rows is another bundle: none of it is kept, only why."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        folder.rename(gone)
    folder.mkdir(mode=0o700)
    note = {"erasure": known.id, "erased_at": known.erased_at}
    (folder / ERASED).write_text(json.dumps(note))
    shutil.rmtree(gone, ignore_errors=True)


def _rewrite_cards(app: App, db: Database, known: Erasure, sought: list[str]) -> None:
    """Model cards of adapters that were judged by a row, and did not learn from it."""
    from tuning.adapter_files import MANIFEST, rewrite_texts

    found = {Path(name).parts[0] for name in find_in_files(app.datadir.adapters, sought)}
    # noted first: after a crash the words may be gone from a card whose row has the old hash
    names = sorted(found | set(known.detail.get("cards", ())))
    erasures.note(db, known.id, cards=names)
    for name in names:
        folder = app.datadir.adapters / name
        if not name.isdigit() or not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        signed = is_signed(app.settings, db, int(name))
        changed = rewrite_texts(folder, lambda text: without(text, sought))
        with write_transaction(db):
            sql = "update adapters set manifest_hash = ? where id = ?"
            write(db, sql, changed, int(name))
            if signed:  # what was not is not to become so by an erasure
                sign_made(app.settings, db, int(name))
        app.forget_adapter(int(name))


def _forget_vectors(app: App, known: Erasure) -> None:
    """The questions' vectors, out of the collections and out of Chroma's files.

    Raises IndexAway while its server does not answer; the erasure is finished at the next start.
    """
    elsewhere = bool(app.settings.chroma_url.strip())
    if not known.detail["feedback"] or not (elsewhere or any(app.datadir.chroma.iterdir())):
        return
    if elsewhere:  # what the folder held before there was a server
        shutil.rmtree(app.datadir.chroma)
        app.datadir.chroma.mkdir(mode=0o700)
    for workspace_id in known.detail["workspaces"]:
        for name in app.index.collections():
            if name.startswith(f"corrections-{workspace_id}-"):
                app.index.delete(name, known.detail["feedback"])
    app.index.rewrite()


def _serving(db: Database, workspace_id: int) -> int | None:
    found = serving_adapter(db, workspace_id)
    return found.id if found else None


def _note_round(db: Database, erasure_id: int, workspace: str, result: dict[str, Any]) -> None:
    """The newest try counts for each workspace."""
    before = erasures.erasure(db, erasure_id).detail.get("retrained", ())
    others = [item for item in before if item["workspace"] != workspace]
    erasures.note(db, erasure_id, retrained=[*others, {"workspace": workspace, **result}])


def _ended(db: Database, item: dict[str, Any]) -> dict[str, Any]:
    """How a round on what remains has ended, in a few values."""
    if item.get("round") is None:
        return item
    ended = rounds.tuning_round(db, item["round"])
    known = {"workspace": item["workspace"], "round": ended.id}
    if ended.finished_at is None:
        return {**known, "running": True}
    if ended.verdict is None:
        return {**known, "error": ended.error or f"the round was {ended.state}"}
    return {**known, "verdict": ended.verdict, "adapter": ended.scores.get("adapter")}
