"""A round as the house runs it: plan, write the bundle, run it, record, serve.

`tuning` knows neither chat nor engine; what it needs is handed to it here as values and functions.
"""

import logging
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.lessons import (
    Lesson,
    held_out_case,
    lessons,
    replay_prompts,
    replay_row,
    sentinel_cases,
    train_row,
)
from storage import adapters, jobs, rounds
from storage.database import write_transaction
from storage.errors import ApprenticeError, BadInput
from storage.feedback import pairs_since_last_round
from storage.records import RoundExample, TuningRound, Workspace
from storage.workspaces import list_workspaces, workspace_by_id
from tuning.adapter_files import manifest_hash
from tuning.bundle import TrainRow, write_bundle
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.run import RoundResult, run_round

log = logging.getLogger(__name__)

CANDIDATE = 0
"""The evaluation's name for the adapter under judgement; adapters that serve count from 1."""
PAIRS_NEEDED = 8
"""Approved corrections under which a round is refused: two held-out cases decide nothing."""
ANSWER_TOKENS = 96
"""Tokens of an evaluated answer at most."""
REPLAY_TOKENS = 40
"""Tokens of a replayed answer: long ones cost training time and hold nothing more in place."""
TOKENS_A_SECOND = {"cpu": 120.0, "cuda": 8000.0}
"""Training speed assumed for the estimate (135M base; two cores, one H200)."""
PASSES = 12
"""Passes over the pairs assumed for the estimate; training stops when the pairs are learned."""

OnProgress = Callable[[float, str], None]


@dataclass(frozen=True)
class RoundPlan:
    """What a round would do: the dry run that the page and `tune --dry-run` show."""

    workspace: str
    train: int
    held_out: int
    replay: int
    needs: int
    tokens_a_pass: int
    minutes: float
    memory_bytes: int
    advice: str
    config: RoundConfig
    lessons: tuple[Lesson, ...]


def plan_round(app: App, workspace: Workspace, dials: Mapping[str, Any] | None = None) -> RoundPlan:
    """What a round would train on and cost. Raises BadInput when there are too few pairs."""
    config = RoundConfig.from_json(
        {
            "threads": app.settings.threads,
            "max_minutes": app.settings.round_minutes,
            **(dials or {}),
        }
    )
    with closing(app.db()) as db:
        found = lessons(app, db, workspace)
    if len(found) < PAIRS_NEEDED:
        raise BadInput(
            f"Workspace {workspace.name!r} has {len(found)} approved corrections and a round needs "
            f"{PAIRS_NEEDED}: approve {PAIRS_NEEDED - len(found)} more."
        )
    trained = [lesson for lesson in found if lesson.split == "train"]
    replay = _replay_count(config, len(trained))
    tokens = sum(lesson.tokens for lesson in trained) + replay * 2 * REPLAY_TOKENS
    return RoundPlan(
        workspace=workspace.name,
        train=len(trained),
        held_out=len(found) - len(trained),
        replay=replay,
        needs=len({lesson.pair.group for lesson in found}),
        tokens_a_pass=tokens,
        minutes=_minutes(config, tokens),
        memory_bytes=_memory(app, config),
        advice=_advice(found),
        config=config,
        lessons=tuple(found),
    )


def start_round(
    app: App, workspace: Workspace, *, dials: Mapping[str, Any] | None = None, actor: str
) -> TuningRound:
    """Queue a round and run it in a background thread; pages watch its job row.

    Raises BadInput for too few pairs and Refused while another round of the workspace runs.
    """
    plan = plan_round(app, workspace, dials)
    queued = _queue(app, workspace, plan, actor)
    thread = threading.Thread(
        target=_run_logged, args=(app, queued, plan), name=f"round-{queued.id}", daemon=True
    )
    thread.start()
    return queued


def run_round_here(
    app: App,
    workspace: Workspace,
    *,
    dials: Mapping[str, Any] | None = None,
    actor: str,
    on_progress: OnProgress = lambda share, note: None,
) -> TuningRound:
    """One round in the foreground; returns it finished. Raises what ended it early."""
    plan = plan_round(app, workspace, dials)
    queued = _queue(app, workspace, plan, actor)
    return execute(app, queued, plan, on_progress)


def cancel_round(db: Database, round_id: int) -> None:
    """Ask a round to stop; whoever runs it does so at its next step."""
    jobs.request_cancel(db, rounds.tuning_round(db, round_id).job_id)


def due(app: App) -> list[Workspace]:
    """Workspaces whose newly approved pairs have reached their `tune_after`."""
    with closing(app.db()) as db:
        busy = {job.workspace_id for job in jobs.running_jobs(db)}
        return [
            workspace
            for workspace in list_workspaces(db)
            if workspace.settings.tune_after
            and workspace.id not in busy
            and pairs_since_last_round(db, workspace.id) >= workspace.settings.tune_after
        ]


def execute(app: App, queued: TuningRound, plan: RoundPlan, on_progress: OnProgress) -> TuningRound:
    """Run a queued round to its end and record how it ended, whatever happens."""
    with closing(app.db()) as db:
        jobs.start_job(db, queued.job_id, os.getpid())
        try:
            result = _run(app, db, queued, plan, on_progress)
            return _record(app, db, queued, plan, result)
        except ApprenticeError as error:
            cancelled = jobs.job(db, queued.job_id).cancel_requested
            state, said = ("cancelled", None) if cancelled else ("failed", str(error))
            rounds.finish_round(db, queued.id, state=state, error=said)
            raise
        except BaseException as error:
            rounds.finish_round(db, queued.id, state="failed", error=f"A fault: {error!r}")
            raise


def _queue(app: App, workspace: Workspace, plan: RoundPlan, actor: str) -> TuningRound:
    with closing(app.db()) as db:
        return rounds.create_round(
            db,
            workspace.id,
            config={**plan.config.to_json(), "actor": actor},
            base_fingerprint=app.base.fingerprint,
            examples=[
                RoundExample(
                    round_id=0,
                    kind="correction",
                    split=lesson.split,
                    feedback_id=lesson.pair.feedback_id,
                    group=lesson.pair.group,
                    pair_hash=lesson.pair_hash,
                )
                for lesson in plan.lessons
            ],
        )


def _run_logged(app: App, queued: TuningRound, plan: RoundPlan) -> None:
    try:
        execute(app, queued, plan, lambda share, note: None)
    except ApprenticeError as error:
        log.warning("round %s: %s", queued.id, error)
    except Exception:  # noqa: BLE001  the edge of the thread: the row holds the cause
        log.exception("round %s failed", queued.id)


def _run(
    app: App, db: Database, queued: TuningRound, plan: RoundPlan, on_progress: OnProgress
) -> RoundResult:
    folder = app.datadir.rounds / str(queued.id)
    folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(db, queued, on_progress)
    workspace = workspace_by_id(db, queued.workspace_id)
    with ChildAnswerer(app.base, app.settings, folder / "answers.log") as child:
        replay = _replay(app, workspace, plan, child, watch)
    bundle = write_bundle(
        folder / "bundle",
        config=plan.config,
        base_fingerprint=app.base.fingerprint,
        base_model=app.base.name,
        round_id=queued.id,
        train=[*(train_row(one) for one in plan.lessons if one.split == "train"), *replay],
        heldout=[
            held_out_case(one, workspace.settings.checks)
            for one in plan.lessons
            if one.split != "train"
        ],
        sentinel=sentinel_cases(app, workspace),
    )
    serving = adapters.serving_adapter(db, workspace.id)
    rows = {"candidate": CANDIDATE, "serving": serving.id if serving else None, "base": None}
    cases = len(bundle.heldout) + len(bundle.sentinel)
    with _Opponents(app, folder, watch, cases * len(set(rows.values()))) as opponents:
        return run_round(
            bundle.folder,
            folder / "out",
            model_folder=app.base.folder,
            rows=rows,
            answer=opponents.answer,
            on_progress=watch.training,
            cancelled=watch.cancelled,
        )


class Watch:
    """Writes a round's progress into its job row, and reads there whether to stop.

    Shares of the whole: replay answers to 5%, training to 75%, evaluation to the end.
    """

    def __init__(self, db: Database, queued: TuningRound, on_progress: OnProgress):
        self._db, self._round, self._on_progress = db, queued, on_progress

    def cancelled(self) -> bool:
        """Whether somebody asked the round to stop."""
        return jobs.job(self._db, self._round.job_id).cancel_requested

    def say(self, share: float, note: str) -> None:
        """How far the whole round is, from 0.0 to 1.0."""
        jobs.beat(self._db, self._round.job_id, share, note)
        self._on_progress(share, note)

    def training(self, said: Mapping[str, Any]) -> None:
        """One step of the training, as `tuning.train` tells it."""
        if "step" not in said:
            return
        for name in ("loss", "learning_rate", "learned"):
            if name in said:
                rounds.add_metric(self._db, self._round.id, said["step"], name, said[name])
        left = said.get("seconds_left")
        more = f", about {max(1, round(left / 60))} min left" if left else ""
        note = f"training: step {said['step']}, loss {said['loss']:.3f}"
        if "learned" in said:
            note += f", {said['learned']} of {said['pairs']} pairs learned"
        self.say(0.05 + 0.7 * min(1.0, said.get("done", said["step"] / said["steps"])), note + more)


class _Opponents:
    """Answers for the evaluation by each opponent, from a child that starts when first asked."""

    def __init__(self, app: App, folder: Path, watch: Watch, total: int):
        self._app, self._folder, self._watch = app, folder, watch
        self._total, self._done = max(total, 1), 0
        self._child: ChildAnswerer | None = None

    def __enter__(self) -> "_Opponents":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._child is not None:
            self._child.__exit__()

    def answer(self, cases: list[Case], adapter_id: int | None) -> list[str]:
        """One answer per case by this adapter (None: the base), greedy, on the serving engine."""
        if self._child is None:
            log_file = self._folder / "answers.log"
            self._child = ChildAnswerer(self._app.base, self._app.settings, log_file).__enter__()
        done_before = self._done

        def told(done: int) -> None:
            self._done = done_before + done
            share = 0.75 + 0.25 * self._done / self._total
            self._watch.say(share, f"evaluating: {self._done} of {self._total} answers")

        return self._child.answer(
            [case.prompt_ids for case in cases],
            adapter=None if adapter_id is None else (adapter_id, self._folder_of(adapter_id)),
            max_tokens=ANSWER_TOKENS,
            on_answer=told,
            cancelled=self._watch.cancelled,
        )

    def _folder_of(self, adapter_id: int) -> Path:
        if adapter_id == CANDIDATE:
            return self._folder / "out" / "adapter"
        return self._app.adapter_folder(adapter_id)


def _replay(
    app: App, workspace: Workspace, plan: RoundPlan, child: ChildAnswerer, watch: Watch
) -> list[TrainRow]:
    """What the base says to ordinary questions, so that the round does not make it forget."""
    prompts = replay_prompts(app, workspace)[: plan.replay]
    answers = child.answer(
        [app.tokenizer.render(list(messages)) for _, messages in prompts],
        adapter=None,
        max_tokens=REPLAY_TOKENS,
        on_answer=lambda done: watch.say(0.05 * done / len(prompts), "asking the base model"),
        cancelled=watch.cancelled,
    )
    return [
        replay_row(app, number, messages, answer)
        for number, ((_, messages), answer) in enumerate(zip(prompts, answers, strict=True))
        if answer
    ]


def _record(
    app: App, db: Database, queued: TuningRound, plan: RoundPlan, result: RoundResult
) -> TuningRound:
    """Keep the evaluation and the adapter, and let it serve if the gate says so."""
    with write_transaction(db):
        for one in result.evaluations:
            rounds.add_evaluation(
                db,
                queued.id,
                case_id=one.case_id,
                row=one.row,
                answer=one.answer,
                right=one.right,
                slice=one.slice,
            )
        made = adapters.add_adapter(
            db,
            queued.workspace_id,
            round_id=queued.id,
            parent_id=queued.start_adapter_id,
            base_fingerprint=app.base.fingerprint,
            method=plan.config.method,
            manifest_hash=manifest_hash(result.adapter),
            metrics=result.scores,
        )
        _move(result.adapter, app.adapter_folder(made.id))
        rounds.finish_round(
            db,
            queued.id,
            state="done",
            verdict=result.verdict,
            reasons=result.reasons,
            scores={**result.summary(), "adapter": made.id},
        )
        if result.verdict == "promote":
            adapters.promote(db, made.id, actor="gate")
        elif result.verdict == "reject":
            adapters.reject_adapter(db, made.id, actor="gate")
    return rounds.tuning_round(db, queued.id)


def _move(made: Path, folder: Path) -> None:
    """Rename the verified folder into place; one left there by a crash has no row and goes."""
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(made, folder)


def _replay_count(config: RoundConfig, trained: int) -> int:
    return round(config.replay_share * trained)


def _minutes(config: RoundConfig, tokens: int) -> float:
    rate = TOKENS_A_SECOND["cuda" if Path("/dev/nvidiactl").exists() else "cpu"]
    return round(min(config.max_minutes, tokens * min(PASSES, config.epochs) / rate / 60) + 2, 1)


def _memory(app: App, config: RoundConfig) -> int:
    """Bytes: libraries 1 GB, weights once in memory, and what a step of activations takes."""
    weights = sum(path.stat().st_size for path in app.base.folder.glob("*.safetensors"))
    return 1_000_000_000 + int(weights * (1.3 if config.method == "qlora" else 1.0)) + (
        config.step_tokens * 1_000_000
    )


def _advice(found: list[Lesson]) -> str:
    thin = len(Counter(one.pair.group for one in found)) - _judged(found)
    if _judged(found) < 5:
        return (
            f"Only {_judged(found)} needs have three wordings or more; with fewer than five the "
            "gate cannot decide. Correct the same need in other words first."
        )
    if thin:
        return f"Worth a round. {thin} needs with one or two wordings are taught but not judged."
    return "Worth a round."


def _judged(found: list[Lesson]) -> int:
    return len({one.pair.group for one in found if one.split == "new wordings"})
