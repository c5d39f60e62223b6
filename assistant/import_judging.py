"""An imported adapter before the gate: asked what its workspace keeps back, beside its opponents.

It is a round without a training. What the adapter was taught is not known here, it may have been
these very questions: a good verdict lets an admin promote it without a reason, and does no more.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.declared_checks import declared_checks
from assistant.held_out import held_out_cases
from assistant.lessons import Lesson, lessons, sentinel_cases
from assistant.likeliest import weighing
from assistant.opponents import Opponents, Watch, answer_tokens, opposing_rows
from assistant.rounds import concluded, keep_evaluations
from storage import adapters, rounds
from storage.database import write_transaction
from storage.records import Adapter, TuningRound
from storage.workspaces import workspace_by_id
from tuning.config import RoundConfig
from tuning.evaluate import Case, Evaluation, count_answers, evaluate, tally
from tuning.gate import decide
from tuning.run import RoundCancelled

Say = Callable[[float, str], None]

UNKNOWN = (
    "What this adapter was taught is not known here, so it may have seen the questions: an admin "
    "decides whether it serves."
)
NOTHING = (
    "Nothing is kept back in this workspace to judge by: a need counts from its third corrected "
    "wording on, or with a paraphrase."
)


def judge_import(
    app: App, known: Adapter, *, actor: str, say: Say = lambda share, note: None
) -> TuningRound | None:
    """The finished round that judged it; None when the workspace keeps nothing back to judge by.

    Raises Refused while a round of the workspace is not finished, and what ends it early.
    """
    with closing(app.db()) as db:
        workspace = workspace_by_id(db, known.workspace_id)
        found = _unknown_to(db, known, lessons(app, db, workspace))
        held = held_out_cases(app, db, workspace, found, declared_checks(app, workspace))
        if not held:
            return None
        queued = rounds.create_round(
            db,
            workspace.id,
            config={"actor": actor, "imported": known.id, "notes": [UNKNOWN]},
            base_fingerprint=app.base.fingerprint,
            examples=[one.as_example() for one in found if one.split != "train"],
        )
    general = sentinel_cases(app, workspace, found)
    return concluded(app, queued, lambda db: _judge(app, db, queued, known, [*held, *general], say))


def _unknown_to(db: Database, known: Adapter, found: list[Lesson]) -> list[Lesson]:
    """Without held-out pairs that a copy of ours was taught, before they were held out."""
    taught = adapters.lineage(db, known.id)
    seen = {one.feedback_id for one in taught if one.split == "train"}
    return [one for one in found if one.split == "train" or one.pair.feedback_id not in seen]


def _judge(
    app: App, db: Database, queued: TuningRound, known: Adapter, cases: list[Case], say: Say
) -> TuningRound:
    started = time.monotonic()
    folder = app.datadir.rounds / str(queued.id)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = _evaluations(app, db, queued, known, cases, folder, say)
    finally:
        shutil.rmtree(folder)
    decision = decide(found, RoundConfig())
    scores = tally(found)
    with write_transaction(db):
        keep_evaluations(db, queued.id, found)
        adapters.note_judged(db, known.id, queued.id, scores)
        ended = rounds.finish_round(
            db,
            queued.id,
            state="done",
            verdict=decision.verdict,
            reasons=decision.reasons,
            scores={
                "scores": scores,
                "adapter": known.id,
                "seconds": round(time.monotonic() - started, 1),
            },
        )
        if decision.verdict == "reject":
            adapters.reject_adapter(db, known.id, actor="gate")
    return ended


def _evaluations(
    app: App,
    db: Database,
    queued: TuningRound,
    known: Adapter,
    cases: list[Case],
    folder: Path,
    say: Say,
) -> list[Evaluation]:
    watch = Watch(db, queued, say)
    serving = adapters.serving_adapter(db, queued.workspace_id)
    rows = opposing_rows(serving.id if serving else None, cases)
    rows |= {row: known.id for row in rows if row.startswith("candidate")}
    workspace = workspace_by_id(db, queued.workspace_id)
    how = weighing(app, workspace)
    most = answer_tokens(app, workspace, (one.expected for one in cases))
    total = count_answers(cases, rows)
    with Opponents(app, workspace, folder, watch, total, how, most) as asked:
        found = evaluate(cases, asked.answer, rows, cancelled=watch.cancelled)
    if watch.cancelled():
        raise RoundCancelled("The judging was cancelled.")
    return found
