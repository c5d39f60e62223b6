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

from storage.database import insert, one, rows, write, write_transaction
from storage.errors import NotFound, Refused
from storage.jobs import create_job, finish_job
from storage.records import (
    EvaluationRow,
    ExampleKind,
    RoundExample,
    Split,
    TuningRound,
    Verdict,
    WorkState,
)
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
