"""A round that runs in a thread, followed by its row until it has ended.

The thread is one of the process that owns the data directory; it tells its progress in its job's
row, so that a server and a terminal alone show the same.
"""

import time
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from assistant.app import App
from assistant.verbs import Event, Events
from storage import jobs, rounds
from storage.records import TuningRound

LOOK_S = 0.5
"""How often the round's row is read."""
STOP_S = 60.0
"""Seconds that a round whose caller left gets to stop: the step that it is at."""


def followed(app: App, queued: TuningRound, *, detached: bool) -> Events:
    """Progress until the round has ended, then its result; returns 1 unless the gate promotes.

    When the caller leaves, the round is cancelled, or goes on if `detached`.
    """
    with closing(app.db()) as db:
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
    compared = "blames" in ended.config and ended.state == "done"
    return 0 if ended.verdict == "promote" or compared else 1


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
    broke = ended.state != "done"
    error = {"error": ended.error or f"the round was {ended.state}"} if broke else {}
    return {
        "round": ended.id,
        "state": ended.state,
        "verdict": ended.verdict,
        "reasons": list(ended.reasons),
        "adapter": scores.get("adapter"),
        "pairs": scores.get("pairs"),
        "scores": scores.get("scores", {}),
        "sentinel": scores.get("sentinel"),
        "seconds": scores.get("seconds"),
        "peak_rss_bytes": scores.get("peak_rss_bytes"),
        "style": scores.get("style", {}),
        "changes": scores.get("changes", []),
        "probes": scores.get("probes", []),
        "notes": [*ended.config.get("notes", []), *scores.get("notes", [])],
        **error,
    }
