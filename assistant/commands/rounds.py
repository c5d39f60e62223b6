"""`apprentice rounds list|show|cancel|resume|export|import|blame`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event, Events
from storage import jobs, rounds
from storage.audit import audit
from storage.errors import Refused
from storage.records import TuningRound
from storage.workspaces import workspace as workspace_named
from storage.workspaces import workspace_by_id


def list_all(app: App, *, workspace: str) -> Iterator[Event]:
    """The rounds of a workspace, newest first."""
    with closing(app.db()) as db:
        for item in rounds.list_rounds(db, workspace_named(db, workspace).id):
            yield _event(db, item)


def show(app: App, *, id: int) -> Iterator[Event]:
    """One round: how far it is, what it learned from, its verdict and scores."""
    with closing(app.db()) as db:
        item = rounds.tuning_round(db, id)
        splits: dict[str, int] = {}
        for example in rounds.round_examples(db, id):
            splits[example.split] = splits.get(example.split, 0) + 1
        losses = rounds.metrics(db, id, "loss")
        yield {
            **_event(db, item),
            "workspace": workspace_by_id(db, item.workspace_id).name,
            "base_fingerprint": item.base_fingerprint,
            "examples": splits,
            "loss": losses[-1][2] if losses else None,
            "scores": item.scores,
            "config": item.config,
            "folder": str(app.datadir.rounds / str(id)),
        }


def cancel(app: App, *, id: int) -> Iterator[Event]:
    """Ask a round to stop; whoever runs it does so at its next step."""
    with closing(app.db()) as db:
        item = rounds.tuning_round(db, id)
        if item.finished_at is not None:
            raise Refused(f"Round {id} is already {item.state}: there is nothing to cancel.")
        jobs.request_cancel(db, item.job_id)
        audit(db, actor(), "round cancelled", f"round:{id}")
    yield {"round": id, "cancel": "requested"}


def export(app: App, *, id: int, to: str) -> Iterator[Event]:
    """Copy a round's bundle to a new folder, for `python -m tuning.run FOLDER OUT` anywhere.

    It holds what people wrote, so that it left the house is on record.
    """
    from assistant.round_export import export_bundle

    export_bundle(app, id, Path(to), actor=actor())
    yield {"round": id, "folder": to}


def resume(app: App, *, id: int, detached: bool = False) -> Events:
    """Go on with a round that failed or was cancelled, from its last complete checkpoint.

    The exit code is 1 unless the gate said promote.
    """
    from assistant.commands.follow import followed
    from assistant.rounds import resume_round

    queued, where = resume_round(app, id, actor=actor())
    yield {"progress": 0.0, "note": f"round {id} goes on {where}"}
    return (yield from followed(app, queued, detached=detached))


def blame(app: App, *, id: int, contributor: str | None = None, detached: bool = False) -> Events:
    """Train a round again without the rows that the gate refused it for, and compare.

    Or without those of a `contributor`. Nothing of it ever serves.
    """
    from assistant.blame import start_blame
    from assistant.commands.follow import followed

    queued = start_blame(app, id, contributor=contributor, actor=actor())
    yield {"progress": 0.0, "note": f"{len(queued.config['left_out'])} rows are left out"}
    return (yield from followed(app, queued, detached=detached))


def import_out(app: App, *, folder: str, detached: bool = False) -> Events:
    """Judge what `python -m tuning.run BUNDLE OUT` made elsewhere: a candidate like any other.

    `folder` is OUT. The exit code is 1 unless the gate said promote.
    """
    from assistant.commands.follow import followed
    from assistant.round_import import start_import

    queued = start_import(app, Path(folder), actor=actor())
    return (yield from followed(app, queued, detached=detached))


def _event(db: Database, item: TuningRound) -> Event:
    job = jobs.job(db, item.job_id)
    return {
        "round": item.id,
        "state": item.state,
        "done": job.progress,
        "note": job.note,
        "verdict": item.verdict,
        "reasons": list(item.reasons),
        "start": item.start_adapter_id or "base",
        "created_at": item.created_at,
        "finished_at": item.finished_at,
        "error": item.error,
        "resumption": item.config.get("resumption"),
    }
