"""A bundle that was trained elsewhere comes back: its adapter is judged here as if made here.

`python -m tuning.run BUNDLE OUT` leaves `OUT/adapter`, whose manifest names the round and the hash
of the bundle it learned from, and `OUT/training.json`. Only a bundle that is still what this house
gave out, and of which nothing was erased, withdrawn or changed since, is judged: what learned from
such does not come back. What the adapter has lost of the base's knowledge is measured here anew.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.learned import with_learned
from assistant.opponents import Watch, opponents
from assistant.rounds import conduct, in_background
from storage import rounds
from storage.audit import audit
from storage.durable import put
from storage.errors import NotFound, Refused
from storage.records import TuningRound
from tuning.adapter_files import Manifest, verify_adapter
from tuning.bundle import Bundle, bundle_hash, read_bundle
from tuning.child import LOG
from tuning.remeasure import remeasured
from tuning.run import ADAPTER, TRAINING, RoundResult, judge_round, read_training


def start_import(app: App, out: Path, *, actor: str) -> TuningRound:
    """Queue the judging of what `tuning.run` left in `out`, and do it in a background thread.

    It is a round of its own with the examples of the one whose bundle was taken along; `out` is
    copied at once and may go then. Raises AdapterRefused, BadInput or Refused for what cannot be
    judged here, before anything is written.
    """
    manifest = verify_adapter(out / ADAPTER, app.base.fingerprint, base_folder=app.base.folder)
    read_training(out)
    with closing(app.db()) as db, _taken(app, out) as taken:
        origin = _origin(db, out, manifest)
        bundle = _same_bundle(app, db, out, origin, manifest)
        queued = rounds.create_round(
            db,
            origin.workspace_id,
            config={**_own(origin.config), "actor": actor, "trained_elsewhere": origin.id},
            base_fingerprint=origin.base_fingerprint,
            start_adapter_id=origin.start_adapter_id,
            examples=rounds.round_examples(db, origin.id),
        )
        folder = app.datadir.rounds / str(queued.id)
        shutil.rmtree(folder, ignore_errors=True)  # one left there by a crash has no row
        folder.mkdir()
        put(taken, folder / "out")
        audit(db, actor, "round imported", f"round:{queued.id}", {"trained from": origin.id})
    in_background(queued, lambda: _judge(app, queued, bundle, manifest.method))
    return queued


@contextmanager
def _taken(app: App, out: Path) -> Iterator[Path]:
    """A copy of what matters in `out`, to be renamed into place; else it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".import-", dir=app.datadir.rounds) as place:
        copy = Path(place) / "out"
        shutil.copytree(out / ADAPTER, copy / ADAPTER)
        shutil.copyfile(out / TRAINING, copy / TRAINING)
        yield copy


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    """A round's config without what became of its process."""
    return {name: value for name, value in config.items() if name != "resumption"}


def _origin(db: Database, out: Path, manifest: Manifest) -> TuningRound:
    """The round whose bundle was trained."""
    if manifest.round_id is None or "bundle" not in manifest.extra:
        raise Refused(
            f"The adapter in {out / ADAPTER} does not say which bundle it learned from: take it in "
            "with `apprentice adapters import`."
        )
    try:
        return rounds.tuning_round(db, manifest.round_id)
    except NotFound:
        raise Refused(
            f"The adapter in {out / ADAPTER} learned from round {manifest.round_id}, which is not "
            "in this data directory: import it where the bundle was exported."
        ) from None


def _same_bundle(
    app: App, db: Database, out: Path, origin: TuningRound, manifest: Manifest
) -> Bundle:
    folder = app.datadir.rounds / str(origin.id) / "bundle"
    rounds.refuse_outdated(db, origin)
    if not folder.is_dir() or bundle_hash(folder) != manifest.extra["bundle"]:
        raise Refused(
            f"The adapter in {out / ADAPTER} learned from a bundle that is not the one of round "
            f"{origin.id} here (it is gone or has changed since): export the round's bundle anew "
            "and train that."
        )
    return read_bundle(folder)


def _judge(app: App, queued: TuningRound, bundle: Bundle, method: str) -> TuningRound:
    kinds = [row.kind for row in bundle.train]
    return conduct(
        app,
        queued,
        lambda db: _work(app, db, queued, bundle),
        method=method,
        pairs={
            "train": kinds.count("correction"),
            "held_out": len(bundle.heldout),
            "replay": kinds.count("replay"),
        },
    )


def _measure_here(app: App, folder: Path, watch: Watch) -> None:
    """Put our own figures of what was forgotten in place of those that came along."""
    out = folder / "out"
    kept = remeasured(
        folder / "bundle",
        out / ADAPTER,
        app.base.folder,
        log=out / LOG,
        on_progress=watch.training,
        cancelled=watch.cancelled,
    )
    training = {**read_training(out), "sentinel": kept}
    (out / TRAINING).write_text(json.dumps(training, indent=1), encoding="utf-8")


def _work(app: App, db: Database, queued: TuningRound, bundle: Bundle) -> RoundResult:
    folder = app.datadir.rounds / str(queued.id)
    shutil.copytree(bundle.folder, folder / "bundle")
    watch = Watch(db, queued, lambda share, note: None)
    _measure_here(app, folder, watch)
    with opponents(app, db, queued, bundle, watch) as (rows, answer, prove):
        result = judge_round(
            folder / "bundle",
            folder / "out",
            rows=rows,
            answer=answer,
            cancelled=watch.cancelled,
        )
        result = with_learned(app, db, queued, bundle, result, answer)
        return replace(result, proof=prove())
