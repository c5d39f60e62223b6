"""A round as the house runs it: plan, write the bundle, run it, record, serve.

`tuning` knows neither chat nor engine; what it needs is handed to it here as values and functions.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.declared_checks import declared_checks
from assistant.held_out import held_out_cases, not_held_out
from assistant.learned import with_learned
from assistant.lesson_rows import training_rows
from assistant.lessons import sentinel_cases, sentinel_choices
from assistant.opponents import OnProgress, Watch, opponents
from assistant.probing import probes_of
from assistant.proving import put_made_proof
from assistant.replay import replay_rows
from assistant.resumption import goes_on_from, refuse_unresumable
from assistant.round_plan import RoundPlan, plan_round
from assistant.runners import RUNNER, note_leaving, runner_of_round
from assistant.signing import sign_made
from assistant.sweeping import SWEEP, WHOLE, Sweep, swept, wanted_sweep
from assistant.turns import GivesTurn, wait_for_turn
from assistant.writer import write
from assistant.written import counts_of, note_of
from storage import adapters, jobs, rounds
from storage.database import write_transaction
from storage.durable import put
from storage.erasure import refuse_emptied
from storage.errors import ApprenticeError, Refused
from storage.overrides import note_learned
from storage.records import TuningRound, Workspace
from storage.workspaces import workspace_by_id
from tuning.adapter_files import manifest_hash
from tuning.bundle import Bundle, TrainRow, read_bundle, write_bundle
from tuning.evaluate import Evaluation
from tuning.run import RoundResult, run_round

log = logging.getLogger(__name__)

_STARTING = threading.Lock()


def start_round(
    app: App,
    workspace: Workspace,
    *,
    dials: Mapping[str, Any] | None = None,
    start: str | None = None,
    runner: str | None = None,
    sweep: Sweep | None = None,
    actor: str,
) -> TuningRound:
    """Queue a round and run it in a background thread; pages watch its job row.

    `start` is "base" or an adapter's id; None leaves it to the budget. `runner` trains (None: the
    workspace's own, else the house's), `sweep` looks for the dials first. Raises BadInput for too
    few pairs and what cannot be, Refused while another round of the workspace is not finished.
    """
    queued, plan = _planned(app, workspace, dials, start, runner, actor, sweep)
    in_background(queued, lambda: execute(app, queued, plan, lambda share, note: None))
    return queued


def resume_round(app: App, round_id: int, *, actor: str) -> tuple[TuningRound, str]:
    """Run a round again that failed or was cancelled, with its own bundle, in the background.

    Returns it queued, and in words from where it goes on. Raises Refused when it cannot: it runs
    or is done, its bundle is gone or for another base, or something in it was erased since.
    """
    folder = app.datadir.rounds / str(round_id)
    with closing(app.db()) as db:
        refuse_unresumable(known := rounds.tuning_round(db, round_id))
        refuse_emptied(db, round_id)
        if not (folder / "bundle").is_dir():
            raise Refused(
                f"Round {round_id} ended before its bundle was written: "
                "start a new one with `apprentice tune`."
            )
        bundle = read_bundle(folder / "bundle")
        if bundle.base_fingerprint != app.base.fingerprint:
            raise Refused(
                f"Round {round_id} is for another base model than {app.base.name}: "
                "start a new one with `apprentice tune`."
            )
        runner_of_round(app.settings, known).ready()
        queued = rounds.resume_round(db, round_id, actor=actor)
    in_background(queued, lambda: _go_on(app, queued, bundle))
    return queued, goes_on_from(folder / "out", bundle.folder)


def in_background(queued: TuningRound, work: Callable[[], object]) -> None:
    """Do a queued round's `work` in a thread of its own; how it ends is in the round's row."""
    name = f"round-{queued.id}"
    threading.Thread(target=_logged, args=(queued, work), name=name, daemon=True).start()


def run_round_here(
    app: App,
    workspace: Workspace,
    *,
    dials: Mapping[str, Any] | None = None,
    start: str | None = None,
    runner: str | None = None,
    actor: str,
    on_progress: OnProgress = lambda share, note: None,
) -> TuningRound:
    """One round in the foreground; returns it finished. Raises what ended it early."""
    queued, plan = _planned(app, workspace, dials, start, runner, actor, None)
    return execute(app, queued, plan, on_progress)


def cancel_round(db: Database, round_id: int) -> None:
    """Ask a round to stop; whoever runs it does so at its next step."""
    jobs.request_cancel(db, rounds.tuning_round(db, round_id).job_id)


def execute(app: App, queued: TuningRound, plan: RoundPlan, on_progress: OnProgress) -> TuningRound:
    """Run a queued round to its end and record how it ended, whatever happens."""
    pairs = dict(plan.pairs)
    return conduct(
        app,
        queued,
        lambda db: _run(app, db, queued, plan, on_progress, pairs),
        method=plan.config.method,
        pairs=pairs,
    )


def conduct(
    app: App,
    queued: TuningRound,
    work: Callable[[Database], RoundResult],
    *,
    method: str,
    pairs: Mapping[str, int],
) -> TuningRound:
    """Do the `work` of a queued round and record how it ended; `pairs` counts what it is about."""
    return concluded(
        app,
        queued,
        lambda db: _record(app, db, queued, work(db), method=method, pairs=pairs),
    )


def concluded(
    app: App, queued: TuningRound, work: Callable[[Database], TuningRound]
) -> TuningRound:
    """Do the `work` of a queued round, which finishes it; what breaks it off is recorded.

    It waits while another round of this machine is at work.
    """
    with closing(app.db()) as db:
        wait_for_turn(db, queued)
        try:
            return work(db)
        except ApprenticeError as error:
            cancelled = jobs.job(db, queued.job_id).cancel_requested
            rounds.finish_round(
                db,
                queued.id,
                state="cancelled" if cancelled else "failed",
                error=None if cancelled else str(error),
            )
            raise
        except BaseException as error:
            rounds.finish_round(db, queued.id, state="failed", error=f"A fault: {error!r}")
            raise


def _go_on(app: App, queued: TuningRound, bundle: Bundle) -> TuningRound:
    kinds, counts = [row.kind for row in bundle.train], counts_of(bundle.train)
    return conduct(
        app,
        queued,
        lambda db: _train_and_judge(
            app,
            db,
            queued,
            bundle,
            Watch(db, queued, lambda share, note: None),
            resume=True,
            notes=note_of(counts),
        ),
        method=bundle.config.method,
        pairs={
            "train": kinds.count("correction"),
            "held_out": len(bundle.heldout),
            "replay": kinds.count("replay"),
            "preferences": kinds.count("preference"),
            "thumbs": kinds.count("thumb"),
            **counts,
        },
    )


def _planned(
    app: App,
    workspace: Workspace,
    dials: Mapping[str, Any] | None,
    start: str | None,
    runner: str | None,
    actor: str,
    sweep: Sweep | None,
) -> tuple[TuningRound, RoundPlan]:
    """One round queued with its plan; of many that ask at once, one is planned and gets it."""
    with _STARTING:
        with closing(app.db()) as db:
            rounds.refuse_second(db, workspace.id)
        plan = plan_round(app, workspace, dials, start, runner)
        if sweep is not None:
            plan = replace(plan, sweep=wanted_sweep(app, plan, sweep, dials or {}))
        return _queue(app, workspace, plan, actor), plan


def _queue(app: App, workspace: Workspace, plan: RoundPlan, actor: str) -> TuningRound:
    with closing(app.db()) as db:
        return rounds.create_round(
            db,
            workspace.id,
            config={
                **plan.config.to_json(),
                "actor": actor,
                RUNNER: plan.runner,
                "tokens_a_pass": plan.tokens_a_pass,
                "notes": list(plan.notes),
                **({SWEEP: asdict(plan.sweep.budget)} if plan.sweep else {}),
            },
            base_fingerprint=app.base.fingerprint,
            start_adapter_id=plan.start.id if plan.start else None,
            examples=(one.as_example() for one in (*plan.lessons, *plan.judged)),
        )


def _logged(queued: TuningRound, work: Callable[[], object]) -> None:
    try:
        work()
    except ApprenticeError as error:
        log.warning("round %s: %s", queued.id, error)
    except Exception:
        log.exception("round %s failed", queued.id)


def _run(
    app: App,
    db: Database,
    queued: TuningRound,
    plan: RoundPlan,
    on_progress: OnProgress,
    pairs: dict[str, int],
) -> RoundResult:
    """The round's work; what it writes itself is counted into `pairs`."""
    folder = app.datadir.rounds / str(queued.id)
    folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(db, queued, on_progress)
    workspace = workspace_by_id(db, queued.workspace_id)
    replay: list[TrainRow] = []
    if plan.replay:
        with ChildAnswerer(app.base, app.settings, folder / "answers.log") as child:
            replay = replay_rows(app, db, workspace, child, watch, seed=plan.config.seed)
    checks = declared_checks(app, workspace)
    written = write(app, db, workspace, plan, checks, folder, watch)
    pairs |= written.counts
    heldout = held_out_cases(app, db, workspace, plan.lessons, checks)
    general = sentinel_cases(app, workspace, taught := (*plan.lessons, *plan.judged))
    bundle = write_bundle(
        folder / (f"{SWEEP}/{WHOLE}" if plan.sweep else "bundle"),
        config=written.leaves(plan.config),
        base_fingerprint=app.base.fingerprint,
        base_model=app.base.name,
        round_id=queued.id,
        train=chain(
            training_rows(app, db, workspace, plan.lessons, plan.judged, written),
            not_held_out(replay, heldout),
        ),
        heldout=heldout,
        sentinel=general,
        likelihood=sentinel_choices(app, workspace, taught),
        probes=probes_of(app, db, workspace, taught, heldout, general),
        start=plan.start.manifest_hash if plan.start else None,
    )
    if plan.sweep:
        bundle, said = swept(app, db, queued, plan.sweep, bundle, watch)
        written = replace(written, notes=(*written.notes, said))
    return _train_and_judge(app, db, queued, bundle, watch, notes=written.notes)


def _train_and_judge(
    app: App,
    db: Database,
    queued: TuningRound,
    bundle: Bundle,
    watch: Watch,
    *,
    resume: bool = False,
    notes: tuple[str, ...] = (),
) -> RoundResult:
    folder = app.datadir.rounds / str(queued.id)
    parent = queued.start_adapter_id
    runner = runner_of_round(app.settings, queued)
    note_leaving(db, queued, bundle, runner)
    if runner.place(bundle.folder):
        runner = GivesTurn(runner, db, queued)
    with opponents(app, db, queued, bundle, watch) as (rows, answer, prove):
        result = run_round(
            bundle.folder,
            folder / "out",
            model_folder=app.base.folder,
            rows=rows,
            answer=answer,
            start=app.adapter_folder(parent) if parent else None,
            resume=resume,
            runner=runner,
            on_progress=watch.training,
            cancelled=watch.cancelled,
        )
        result = with_learned(app, db, queued, bundle, result, answer)
        result = replace(result, proof=prove())
    return replace(result, notes=(*notes, *result.notes))


def _record(
    app: App,
    db: Database,
    queued: TuningRound,
    result: RoundResult,
    *,
    method: str,
    pairs: Mapping[str, int],
) -> TuningRound:
    """Keep the evaluation and the adapter, and let it serve if the gate says so."""
    if SWEEP in queued.config:
        method = rounds.tuning_round(db, queued.id).config["method"]
    with write_transaction(db):
        keep_evaluations(db, queued.id, result.evaluations)
        made = adapters.add_adapter(
            db,
            queued.workspace_id,
            round_id=queued.id,
            parent_id=queued.start_adapter_id,
            base_fingerprint=app.base.fingerprint,
            method=method,
            manifest_hash=manifest_hash(result.adapter),
            metrics=result.scores,
        )
        note_learned(db, made.id, result.learned)
        sign_made(app.settings, db, made.id)
        if result.proof is not None:
            put_made_proof(app, db, made.id, result.proof)
        _move(result.adapter, app.adapter_folder(made.id))
        rounds.finish_round(
            db,
            queued.id,
            state="done",
            verdict=result.verdict,
            reasons=result.reasons,
            scores={
                **result.summary(),
                "pairs": dict(pairs),
                "adapter": made.id,
            },
        )
        if result.verdict == "promote" and app.former is None:  # else the whole house switches
            adapters.promote(db, made.id, actor="gate")
        elif result.verdict == "reject":
            adapters.reject_adapter(db, made.id, actor="gate")
    return rounds.tuning_round(db, queued.id)


def keep_evaluations(db: Database, round_id: int, found: Sequence[Evaluation]) -> None:
    """Every answer that a round was judged by, into its rows."""
    for one in found:
        rounds.add_evaluation(
            db,
            round_id,
            case_id=one.case_id,
            row=one.row,
            answer=one.answer,
            right=one.right,
            slice=one.slice,
        )


def _move(made: Path, folder: Path) -> None:
    """Rename the verified folder into place; one left there by a crash has no row and goes."""
    if folder.exists():
        shutil.rmtree(folder)
    put(made, folder)
