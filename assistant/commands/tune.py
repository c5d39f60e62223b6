"""`apprentice tune`: one round from the approved corrections to the gate's verdict.

The round runs in a thread of the process that owns the data directory and tells its progress in
its job's row; this follows the row, so that a server and a terminal alone show the same.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.documents import mend
from assistant.commands.who import actor
from assistant.round_plan import RoundPlan
from assistant.verbs import Event, Events
from storage import jobs, rounds
from storage.errors import BadInput
from storage.records import TuningRound
from storage.workspaces import workspace as workspace_named

LOOK_S = 0.5
"""How often the round's row is read."""
STOP_S = 60.0
"""Seconds that a round whose caller left gets to stop: the step that it is at."""


def tune(
    app: App,
    *,
    workspace: str,
    method: str | None = None,
    dials: list[str] | None = None,
    dry_run: bool = False,
    detached: bool = False,
) -> Events:
    """Run one round and follow it; the exit code is 1 unless the gate said promote.

    When the caller leaves, the round is cancelled, or goes on if `detached`. Raises BadInput for
    too few pairs or an unknown dial, Refused while another round of the workspace runs.
    """
    from assistant.round_plan import plan_round
    from assistant.rounds import start_round

    wanted = _dials(method, dials or [])
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        yield {"progress": 0.0, "note": "reading the corrections"}
        if dry_run:
            yield _planned(plan_round(app, found, wanted))
            return 0
        mend(app, db, found.id)
        queued = start_round(app, found, dials=wanted, actor=actor())
        if detached:
            yield {
                "warning": f"The server runs round {queued.id} and goes on with it when this "
                f"command ends; `apprentice rounds cancel {queued.id}` stops it."
            }
        try:
            yield from _follow(db, queued)
        finally:
            if not detached:
                _stop(db, queued)
        ended = rounds.tuning_round(db, queued.id)
        yield _result(ended)
    return 0 if ended.verdict == "promote" else 1


def _dials(method: str | None, dials: list[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {} if method is None else {"method": method}
    for dial in dials:
        key, equals, value = dial.partition("=")
        if not equals:
            raise BadInput(f"--set {dial!r} sets nothing: write KEY=VALUE, such as epochs=10.")
        wanted[key.strip()] = value.strip()
    return wanted


def _planned(plan: RoundPlan) -> Event:
    return {
        "workspace": plan.workspace,
        "pairs": {"train": plan.train, "held_out": plan.held_out, "replay": plan.replay},
        "needs": plan.needs,
        "minutes": plan.minutes,
        "memory_bytes": plan.memory_bytes,
        "advice": plan.advice,
        "config": plan.config.to_json(),
    }


def _follow(db: Database, queued: TuningRound) -> Iterator[Event]:
    """Progress until the round has ended; unchanged too, so that a caller that left is noticed."""
    while (job := jobs.job(db, queued.job_id)).finished_at is None:
        yield {"progress": job.progress, "note": job.note or f"round {queued.id} is starting"}
        time.sleep(LOOK_S)


def _stop(db: Database, queued: TuningRound) -> None:
    """Cancel the round if it has not ended, and wait until it has."""
    give_up = time.monotonic() + STOP_S
    jobs.request_cancel(db, queued.job_id)
    while jobs.job(db, queued.job_id).finished_at is None and time.monotonic() < give_up:
        time.sleep(LOOK_S)


def _result(ended: TuningRound) -> Event:
    """The last line of `tune --json`. A round that broke off has no verdict, but an error."""
    scores = ended.scores
    error = {"error": ended.error or f"the round was {ended.state}"} if not ended.verdict else {}
    return {
        "round": ended.id,
        "verdict": ended.verdict,
        "reasons": list(ended.reasons),
        "adapter": scores.get("adapter"),
        "pairs": scores.get("pairs"),
        "scores": scores.get("scores", {}),
        "sentinel": scores.get("sentinel"),
        "seconds": scores.get("seconds"),
        "peak_rss_bytes": scores.get("peak_rss_bytes"),
        **error,
    }
