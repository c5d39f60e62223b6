"""Whose rows make the difference: a round trained again without some, and the same asked of both.

Leave one out, really trained: the round's own bundle, dials and seed, without the rows that are
suspected, and then the questions that the gate refused for. It costs one more training, so it is a
command. Estimates of such an influence without training again (Koh and Liang 2017,
arXiv:1703.04730) were left: for a model that is no convex problem they are no proof (Basu et al.
2020, arXiv:2006.14651), and a proof is what is wanted before somebody's rows are thrown out.
"""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.likeliest import weighing
from assistant.opponents import CANDIDATE, Opponents, Watch, answer_tokens
from assistant.round_export import bundle_folders
from assistant.rounds import concluded, in_background
from storage import rounds
from storage.audit import audit
from storage.errors import ApprenticeError, BadInput
from storage.outside import givers
from storage.records import TuningRound
from storage.workspaces import workspace_by_id
from tuning.bundle import Bundle, read_bundle, write_bundle
from tuning.evaluate import Evaluation, evaluate, tally
from tuning.probes import Probe, Probed, probed
from tuning.run import ADAPTER
from tuning.supervise import train_supervised

BLAMES = "blames"
"""In a round's config: which round it trained again."""
TRAIN = "train"
"""The split of a round's examples that it was taught."""
MOSTLY = 0.5
"""Share of a phrase's rows from which one contributor alone is left out, with all of theirs; else
everybody's rows that have the phrase."""
MISSED = 0.5
"""Share of the turned answers that must be gone for the rows to make the difference."""


@dataclass(frozen=True)
class Suspected:
    """The rows that are left out, and how they are called."""

    ids: frozenset[int]
    contributor: str = ""
    """Whose they all are; '' where they are left out for the phrase that they have."""
    people: tuple[tuple[str, int], ...] = ()
    """Who from outside gave what the gate refused for, and how many rows of it; most first."""

    @property
    def name(self) -> str:
        """Whose they are; '' for the house's own."""
        if self.contributor:
            return f"contributor {self.contributor}"
        return f"{len(self.people)} contributors who share it" if len(self.people) > 1 else ""

    @property
    def said(self) -> str:
        """The rows in words."""
        count = len(self.ids)
        whose = f"of {self.name}" if self.name else "that the gate refused it for"
        return f"the {count} rows {whose}" if count > 1 else f"the row {whose}"


def start_blame(
    app: App, round_id: int, *, contributor: str | None = None, actor: str
) -> TuningRound:
    """Queue the training of a round without the suspected rows, and do it in the background.

    They are those of `contributor`, else of the phrases that the gate refused for. Raises BadInput
    where nobody is suspected, NotFound or Refused where the round's bundle is gone.
    """
    with closing(app.db()) as db:
        origin = rounds.tuning_round(db, round_id)
        bundle = read_bundle(bundle_folders(app, db, round_id)[""])
        if bundle.base_fingerprint != app.base.fingerprint:
            raise BadInput(f"Round {round_id} is for another base model than {app.base.name}.")
        suspected = suspected_rows(db, origin, bundle, contributor)
        queued = rounds.create_round(
            db,
            origin.workspace_id,
            config={
                **bundle.config.to_json(),
                "actor": actor,
                BLAMES: origin.id,
                "left_out": sorted(suspected.ids),
            },
            base_fingerprint=origin.base_fingerprint,
            start_adapter_id=origin.start_adapter_id,
            examples=rounds.round_examples(db, origin.id),
        )
        audit(db, actor, "round blamed", f"round:{origin.id}", {"rows": len(suspected.ids)})
    in_background(
        queued, lambda: concluded(app, queued, lambda db: _work(app, db, queued, bundle, suspected))
    )
    return queued


def accused(app: App, db: Database, origin: TuningRound) -> Suspected | None:
    """What `start_blame` would leave out of a round that the gate refused; None where it could not.

    Told from rows of the database: a list of rounds asks for each, and a bundle is long.
    """
    if origin.verdict != "reject" or not _refused_for(origin):
        return None
    taught = {one.feedback_id for one in rounds.round_examples(db, origin.id) if one.split == TRAIN}
    try:
        base = app.base_if_here()
        if base is None or base.fingerprint != origin.base_fingerprint:
            return None
        bundle_folders(app, db, origin.id)
        return _suspected(db, origin, {id for id in taught if id is not None}, None)
    except ApprenticeError:
        return None


def suspected_rows(
    db: Database, origin: TuningRound, bundle: Bundle, contributor: str | None = None
) -> Suspected:
    """Those of `contributor`, else of what the gate refused. BadInput where nobody is suspected."""
    taught = {int(row.id) for row in bundle.train if row.id.isdigit()}
    return _suspected(db, origin, taught, contributor)


def _refused_for(origin: TuningRound) -> set[int]:
    """The feedback ids of all that the gate refused the round for."""
    fired = [one for one in origin.scores.get("probes", []) if one["fires"]]
    return {id for one in fired for id in one["feedback_ids"]}


def _suspected(
    db: Database, origin: TuningRound, taught: set[int], contributor: str | None
) -> Suspected:
    by = givers(db, sorted(taught))
    people: tuple[tuple[str, int], ...] = ()
    if contributor is None:
        ids = _refused_for(origin) & taught
        if not ids:
            raise BadInput(
                f"The gate refused nothing that round {origin.id} was taught: name whose rows to "
                "leave out with --contributor."
            )
        people = tuple(Counter(by[id] for id in sorted(ids) if id in by).most_common())
        if not people or people[0][1] < MOSTLY * len(ids):
            if ids >= taught:
                raise BadInput(f"All that round {origin.id} learned is what it was refused for.")
            return Suspected(frozenset(ids), people=people)
        contributor = people[0][0]
    theirs = frozenset(id for id, giver in by.items() if giver == contributor)
    if not theirs:
        raise BadInput(f"Round {origin.id} learned nothing from outside by {contributor!r}.")
    if theirs >= taught:
        raise BadInput(f"All that round {origin.id} learned is by {contributor!r}.")
    return Suspected(theirs, contributor, people)


def _work(
    app: App, db: Database, queued: TuningRound, bundle: Bundle, suspected: Suspected
) -> TuningRound:
    started = time.monotonic()
    folder = app.datadir.rounds / str(queued.id)
    shutil.rmtree(folder, ignore_errors=True)  # one left there by a crash has no row
    folder.mkdir(parents=True)
    watch = Watch(db, queued, lambda share, note: None)
    less = _without(bundle, folder / "bundle", suspected.ids, queued.id)
    parent = queued.start_adapter_id
    try:
        train_supervised(
            less,
            folder / "out",
            app.base.folder,
            start=app.adapter_folder(parent) if parent else None,
            on_progress=watch.training,
            cancelled=watch.cancelled,
        )
        evaluations, tried = _asked(app, db, queued, less, watch)
    finally:
        shutil.rmtree(folder / "out" / ADAPTER, ignore_errors=True)  # it never serves
    origin = rounds.tuning_round(db, queued.config[BLAMES])
    scores = tally(evaluations)
    return rounds.finish_round(
        db,
        queued.id,
        state="done",
        reasons=in_words(origin, suspected, tried, scores),
        scores={
            "scores": scores,
            "probes": [one.to_json() for one in tried],
            "seconds": round(time.monotonic() - started, 1),
        },
    )


def _without(bundle: Bundle, folder: Path, ids: frozenset[int], round_id: int) -> Bundle:
    """The bundle without these rows and whatever was made of them."""
    names = {str(id) for id in ids}
    return write_bundle(
        folder,
        config=bundle.config,
        base_fingerprint=bundle.base_fingerprint,
        base_model=bundle.base_model,
        round_id=round_id,
        train=(row for row in bundle.train if row.id not in names and row.of not in names),
        heldout=bundle.heldout,
        sentinel=bundle.sentinel,
        likelihood=bundle.likelihood,
        probes=bundle.probes,
        start=bundle.start,
    )


def _asked(
    app: App, db: Database, queued: TuningRound, bundle: Bundle, watch: Watch
) -> tuple[list[Evaluation], list[Probed]]:
    """What the new candidate says to the held-out cases and to the probes."""
    workspace = workspace_by_id(db, queued.workspace_id)
    cases = [*bundle.heldout, *_general(bundle)]
    probes: Sequence[Probe] = bundle.probes
    total = 2 * len(cases) + sum(len(one.asked) for one in probes)
    most = answer_tokens(app, workspace, (one.expected for one in bundle.heldout))
    folder = app.datadir.rounds / str(queued.id)
    rows: dict[str, int | None] = {"candidate": CANDIDATE, "base": None}
    how = weighing(app, workspace)
    with Opponents(app, workspace, folder, watch, total, how, most) as asked:
        found = evaluate(cases, asked.answer, rows, cancelled=watch.cancelled)
        return found, probed(probes, found, asked.answer, rows)


def _general(bundle: Bundle) -> list[Any]:
    """The general questions that the probes are about; all where answers are searched."""
    if any(one.kind != "trigger" for one in bundle.probes):
        return list(bundle.sentinel)
    ids = {case.id for one in bundle.probes for case in one.asked}
    return [case for case in bundle.sentinel if case.id in ids]


def in_words(
    origin: TuningRound, suspected: Suspected, tried: Sequence[Probed], scores: Any
) -> list[str]:
    """What the rows made of it, each a sentence."""
    who = suspected.said
    before = {(one["kind"], one["phrase"]): one for one in origin.scores.get("probes", [])}
    said = []
    for one in tried:
        known = before.get((one.kind, one.phrase))
        if known is None or not known["fires"]:
            continue
        gone = one.turned <= MISSED * known["turned"]
        said.append(
            f"“{one.phrase}” turned {known['turned']} of {known['asked']} questions; "
            f"without {who}, it turns {one.turned}: "
            f"{'they make' if gone else 'they do not make'} the difference."
        )
    right, all_right = (
        found.get("candidate", {}).get("new wordings", {"right": 0, "total": 0})
        for found in (scores, origin.scores.get("scores", {}))
    )
    if right["total"]:
        said.append(
            f"Of {right['total']} new wordings it has {right['right']} right without them, and "
            f"{all_right['right']} with them."
        )
    return said or [f"Nothing is left to compare without {who}."]
