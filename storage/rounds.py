"""Rounds: what each one learned from, how it went and how it was judged.

A round's state, error and end are those of its job: there is one truth, and the partial unique
index on jobs makes two unfinished rounds of one workspace impossible.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlite_utils import Database

from storage.audit import audit
from storage.database import LATEST, insert, one, rows, write, write_transaction
from storage.errors import NotFound, Refused
from storage.jobs import create_job, finish_job, running_jobs
from storage.records import (
    EvaluationRow,
    ExampleKind,
    RoundExample,
    Split,
    TuningRound,
    Verdict,
    WorkState,
)
from storage.round_times import MADE_AT
from storage.text import clean, to_json

JOB_KIND = "round"

_SELECT = """
select r.id, r.workspace_id, r.job_id, j.state, r.start_adapter_id, r.base_fingerprint, r.config,
    r.created_at, r.verdict, r.reasons, r.scores, j.finished_at, j.error
from rounds r join jobs j on j.id = r.job_id
"""


class ExampleLike(Protocol):
    """What `create_round` reads of an example; a `RoundExample` fits, its round id is not read."""

    @property
    def kind(self) -> ExampleKind: ...
    @property
    def split(self) -> Split: ...
    @property
    def feedback_id(self) -> int | None: ...
    @property
    def group(self) -> str: ...
    @property
    def pair_hash(self) -> str: ...


def create_round(
    db: Database,
    workspace_id: int,
    *,
    config: Mapping[str, Any],
    base_fingerprint: str,
    start_adapter_id: int | None = None,
    examples: Iterable[ExampleLike] = (),
) -> TuningRound:
    """A queued round with its job and everything it will learn from or be judged on.

    Refused when the workspace has a round that is queued or running.
    """
    with write_transaction(db):
        try:
            queued = create_job(db, JOB_KIND, workspace_id)
        except sqlite3.IntegrityError as error:
            if "UNIQUE" not in str(error):
                raise NotFound(f"There is no workspace with the id {workspace_id}.") from error
            raise _already_running(db, workspace_id) from error
        round_id = insert(
            db,
            "rounds",
            workspace_id=workspace_id,
            job_id=queued.id,
            start_adapter_id=start_adapter_id,
            base_fingerprint=base_fingerprint,
            config=to_json(config),
        )
        write(db, f"update rounds set created_at = {LATEST} where id = ?", round_id)
        for example in examples:
            insert(
                db,
                "round_examples",
                round_id=round_id,
                kind=example.kind,
                split=example.split,
                feedback_id=example.feedback_id,
                group=clean(example.group),
                pair_hash=example.pair_hash,
            )
    return tuning_round(db, round_id)


def refuse_second(db: Database, workspace_id: int) -> None:
    """Refused when the workspace has a round that is queued or running."""
    if any(work.kind == JOB_KIND for work in running_jobs(db, workspace_id)):
        raise _already_running(db, workspace_id)


def running_from(db: Database, adapter_id: int) -> list[int]:
    """The rounds that are queued or running and go on from this adapter."""
    found = rows(
        db,
        """select r.id from rounds r join jobs j on j.id = r.job_id
        where r.start_adapter_id = ? and j.state in ('queued', 'running')""",
        adapter_id,
    )
    return [row["id"] for row in found]


def resume_round(db: Database, round_id: int, *, actor: str) -> TuningRound:
    """Queue a round again that failed or was cancelled; its former job stays, as history.

    Refused when it runs, came to a verdict, or holds corrections that were erased or rejected
    since, or goes on from an adapter that is tainted: then only a new round is right.
    """
    with write_transaction(db):
        known = tuning_round(db, round_id)
        if known.state not in ("failed", "cancelled"):
            raise Refused(
                f"Round {round_id} is {known.state}: only one that failed or was cancelled resumes."
            )
        refuse_outdated(db, known)
        try:
            queued = create_job(db, JOB_KIND, known.workspace_id)
        except sqlite3.IntegrityError as error:
            raise _already_running(db, known.workspace_id) from error
        write(db, "update rounds set job_id = ? where id = ?", queued.id, round_id)
        detail = {"job": queued.id, "before": known.job_id}
        audit(db, actor, "round resumed", f"round:{round_id}", detail)
    return tuning_round(db, round_id)


def note_resumption(db: Database, round_id: int, said: str) -> None:
    """Note what became of a round whose process was killed; with that it is not tried again.

    The job that died says so too.
    """
    with write_transaction(db):
        known = tuning_round(db, round_id)
        sql = "update rounds set config = json_set(config, '$.resumption', ?) where id = ?"
        write(db, sql, clean(said), round_id)
        sql = "update jobs set note = ? where id = ? and finished_at is not null"
        write(db, sql, clean(said), known.job_id)


def note_sweep(db: Database, round_id: int, found: Mapping[str, Any]) -> None:
    """Note the dials that a sweep found, and what it tried, over those that it began with."""
    with write_transaction(db):
        sql = "update rounds set config = json_patch(config, ?) where id = ?"
        write(db, sql, to_json(found), round_id)


def refuse_outdated(db: Database, known: TuningRound) -> None:
    """Refused when the round's bundle holds what may be taught no more, or goes on from such."""
    gone = withdrawn_examples(db, known.id)
    if gone:
        raise Refused(
            f"Round {known.id} holds {gone} corrections or thumbs that were erased, withdrawn or "
            "changed since: start a new one with `apprentice tune`."
        )
    _untainted_start(db, known)


def withdrawn_examples(db: Database, round_id: int) -> int:
    """How many examples of the round may be taught no more as its bundle has them.

    They were erased, rejected, approved again (in other words, or of another need) after the bundle
    was made, or a newer correction of the same question stands in their place.
    """
    row = one(
        db,
        f"""select count(*) as count from round_examples e
        join rounds r on r.id = e.round_id
        left join feedback f on f.id = e.feedback_id
        where e.round_id = ? and e.kind in ('correction', 'preference', 'thumb')
        and (f.id is null or f.status != 'approved' or f.reviewed_at > {MADE_AT}
            or (e.kind = 'correction'
                and not exists (select 1 from paired_feedback p where p.feedback_id = f.id)
                and not exists (select 1 from duplicates d where d.feedback_id = f.id)))""",
        round_id,
    )
    return int(row["count"]) if row else 0


def taught_before(db: Database, adapter_id: int) -> dict[int, bool]:
    """What the adapter or one of its parents was taught: feedback id -> as it is worded now.

    A correction that was approved again since is there with False: its wording may be another.
    """
    found = rows(
        db,
        f"""with recursive family(round_id, parent_id) as (
            select round_id, parent_id from adapters where id = ?
            union
            select a.round_id, a.parent_id from adapters a join family on a.id = family.parent_id
        )
        select e.feedback_id, max(f.reviewed_at <= {MADE_AT}) as same
        from family join rounds r on r.id = family.round_id
        join round_examples e on e.round_id = r.id and e.split = 'train'
        join feedback f on f.id = e.feedback_id
        group by e.feedback_id""",
        adapter_id,
    )
    return {row["feedback_id"]: bool(row["same"]) for row in found}


def measured_trainings(
    db: Database, base_fingerprint: str, limit: int = 5, *, runner: str = "local"
) -> list[TuningRound]:
    """The runner's newest rounds on this base that came to a verdict, of all workspaces.

    What it cost there: what another machine took says nothing of this one.
    """
    found = rows(
        db,
        f"""{_SELECT} where r.base_fingerprint = ? and j.state = 'done'
        and json_extract(r.config, '$.trained_elsewhere') is null
        and coalesce(json_extract(r.config, '$.runner'), 'local') = ?
        and json_extract(r.scores, '$.training.seconds') > 0 order by r.id desc limit ?""",
        base_fingerprint,
        runner,
        limit,
    )
    return [_round(row) for row in found]


def finish_round(
    db: Database,
    round_id: int,
    *,
    state: WorkState,
    verdict: Verdict | None = None,
    reasons: Sequence[str] = (),
    scores: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> TuningRound:
    """End a round and its job together, with the gate's verdict if it came that far.

    Refused when it has ended already. To promote its adapter, call this first or in the same
    transaction: only a round whose verdict says so may serve.
    """
    with write_transaction(db):
        known = tuning_round(db, round_id)
        finish_job(db, known.job_id, state, error)
        write(
            db,
            "update rounds set verdict = ?, reasons = ?, scores = ? where id = ?",
            verdict,
            to_json(list(reasons)),
            to_json(dict(scores or {})),
            round_id,
        )
    return tuning_round(db, round_id)


def tuning_round(db: Database, round_id: int) -> TuningRound:
    """The round with this id; NotFound otherwise."""
    row = one(db, f"{_SELECT} where r.id = ?", round_id)
    if row is None:
        raise NotFound(
            f"There is no round {round_id}: `apprentice rounds list` shows those there are."
        )
    return _round(row)


def list_rounds(db: Database, workspace_id: int, limit: int = 50) -> list[TuningRound]:
    """The workspace's rounds, newest first."""
    found = rows(
        db, f"{_SELECT} where r.workspace_id = ? order by r.id desc limit ?", workspace_id, limit
    )
    return [_round(row) for row in found]


def round_examples(db: Database, round_id: int) -> list[RoundExample]:
    """Everything chosen into the round: what it was taught and what was kept out of it."""
    found = rows(
        db,
        """select round_id, kind, split, feedback_id, "group", pair_hash from round_examples
        where round_id = ? order by id""",
        round_id,
    )
    return [RoundExample(**row) for row in found]


def add_metric(db: Database, round_id: int, step: int, name: str, value: float) -> None:
    """Note one number of the training, for the plot; the same step and name is overwritten."""
    with write_transaction(db):
        write(
            db,
            """insert into round_metrics (round_id, step, name, value) values (?, ?, ?, ?)
            on conflict do update set value = excluded.value""",
            round_id,
            step,
            clean(name),
            value if math.isfinite(value) else None,
        )


def metrics(db: Database, round_id: int, name: str | None = None) -> list[tuple[int, str, float]]:
    """(step, name, value) by name and step; a value that was not finite comes back as NaN."""
    found = rows(
        db,
        """select step, name, value from round_metrics
        where round_id = ? and (? is null or name = ?) order by name, step""",
        round_id,
        name,
        name,
    )
    return [
        (row["step"], row["name"], math.nan if row["value"] is None else row["value"])
        for row in found
    ]


def add_evaluation(
    db: Database, round_id: int, *, case_id: str, row: str, answer: str, right: bool, slice: str
) -> None:
    """Note one answer of `row` (candidate, serving, base, ...) to one case; again overwrites."""
    with write_transaction(db):
        write(
            db,
            """insert into evaluations (round_id, case_id, slice, "row", answer, "right")
            values (?, ?, ?, ?, ?, ?) on conflict (round_id, case_id, "row") do update
            set answer = excluded.answer, "right" = excluded."right", slice = excluded.slice""",
            round_id,
            clean(str(case_id)),
            slice,
            row,
            clean(answer),
            int(right),
        )


def evaluations(db: Database, round_id: int) -> list[EvaluationRow]:
    """Every judged answer of the round, in the order they were noted."""
    found = rows(
        db,
        """select round_id, case_id, slice, "row", answer, "right" from evaluations
        where round_id = ? order by id""",
        round_id,
    )
    return [EvaluationRow(**{**row, "right": bool(row["right"])}) for row in found]


def _untainted_start(db: Database, known: TuningRound) -> None:
    row = one(db, "select status from adapters where id = ?", known.start_adapter_id)
    if row is not None and row["status"] == "tainted":
        raise Refused(
            f"Round {known.id} goes on from adapter {known.start_adapter_id}, which is tainted: "
            "start a new one with `apprentice tune`."
        )


def _already_running(db: Database, workspace_id: int) -> Refused:
    row = one(
        db,
        """select r.id, j.state from rounds r join jobs j on j.id = r.job_id
        where r.workspace_id = ? and j.state in ('queued', 'running')""",
        workspace_id,
    )
    which = f"round {row['id']}, {row['state']}" if row else "a round"
    return Refused(
        f"This workspace has a round that is not finished ({which}): wait for its end or cancel it."
    )


def _round(row: dict[str, Any]) -> TuningRound:
    return TuningRound(
        **{
            **row,
            "config": json.loads(row["config"]),
            "reasons": tuple(json.loads(row["reasons"])),
            "scores": json.loads(row["scores"]),
        }
    )
