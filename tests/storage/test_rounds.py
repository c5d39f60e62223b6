import math
import sqlite3
import threading

import pytest

from storage.database import insert, open_database, write_transaction
from storage.errors import NotFound, Refused
from storage.jobs import finish_job, job, running_jobs
from storage.records import EvaluationRow, RoundExample
from storage.rounds import (
    add_evaluation,
    add_metric,
    create_round,
    evaluations,
    finish_round,
    list_rounds,
    metrics,
    round_examples,
    tuning_round,
)
from storage.workspaces import create_workspace


@pytest.fixture
def begin(db, workspace):
    def build(**fields):
        known = {"config": {"rank": 8, "learning_rate": 2e-4}, "base_fingerprint": "b"} | fields
        return create_round(db, workspace.id, **known)

    return build


def test_a_round_is_queued_with_its_job_and_configuration(db, workspace, begin):
    begun = begin()
    assert begun == tuning_round(db, begun.id)
    assert (begun.state, begun.config) == ("queued", {"rank": 8, "learning_rate": 2e-4})
    assert (begun.start_adapter_id, begun.verdict, begun.reasons) == (None, None, ())
    work = job(db, begun.job_id)
    assert (work.kind, work.state, work.workspace_id) == ("round", "queued", workspace.id)


def test_the_verdict_is_kept_with_its_reasons_and_scores(db, begin):
    begun = begin()
    scores = {"candidate": {"right": 11, "of": 12}, "perplexity": math.nan}
    ended = finish_round(
        *(db, begun.id),
        state="done",
        verdict="promote",
        reasons=["Better on 5 of 12 new wordings."],
        scores=scores,
    )
    assert ended == tuning_round(db, begun.id)
    assert (ended.state, ended.verdict) == ("done", "promote")
    assert ended.reasons == ("Better on 5 of 12 new wordings.",)
    assert ended.scores == {"candidate": {"right": 11, "of": 12}, "perplexity": None}
    assert job(db, begun.job_id).state == "done"
    with pytest.raises(Refused, match="already done"):
        finish_round(db, begun.id, state="failed")
    assert tuning_round(db, begun.id).verdict == "promote"


def test_a_failed_round_says_why(db, begin):
    ended = finish_round(db, begin().id, state="failed", error="loss was not finite at step 4")
    assert (ended.state, ended.error) == ("failed", "loss was not finite at step 4")


def test_one_unfinished_round_in_a_workspace(db, workspace, begin):
    begun = begin()
    with pytest.raises(Refused, match=f"round {begun.id}, queued.*cancel it"):
        begin()
    assert [known.id for known in list_rounds(db, workspace.id)] == [begun.id]
    create_round(db, create_workspace(db, "other").id, config={}, base_fingerprint="b")
    finish_job(db, begun.job_id, "cancelled")
    again = begin()
    assert [known.id for known in list_rounds(db, workspace.id)] == [again.id, begun.id]


def test_the_schema_itself_forbids_a_second_one(db, workspace, begin):
    begin()
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"), write_transaction(db):
        insert(db, "jobs", kind="round", workspace_id=workspace.id, state="running")


def test_many_that_start_one_at_once_get_one(datadir, db, workspace):
    outcomes = []

    def start():
        with open_database(datadir.database) as own:
            try:
                outcomes.append(create_round(own, workspace.id, config={}, base_fingerprint="b"))
            except Refused as refused:
                outcomes.append(refused)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 3
    assert len(running_jobs(db)) == 1


def test_what_was_taught_and_what_was_kept_out(db, begin, corrected):
    given = corrected("q", "a", yes=True)
    examples = [
        RoundExample(0, "correction", "train", given.id, "need", "hash-1"),
        RoundExample(0, "correction", "new wordings", given.id, "need", "hash-2"),
        RoundExample(0, "sentinel", "sentinel", None, "", "hash-3"),
    ]
    begun = begin(examples=examples)
    stored = round_examples(db, begun.id)
    assert [(known.split, known.pair_hash) for known in stored] == [
        *(("train", "hash-1"), ("new wordings", "hash-2"), ("sentinel", "hash-3")),
    ]
    assert {known.round_id for known in stored} == {begun.id}


def test_metrics_are_kept_in_order_for_the_plot(db, begin):
    begun = begin()
    for step, loss in [(2, 0.5), (1, 2.0), (3, math.inf), (2, 0.75)]:
        add_metric(db, begun.id, step, "loss", loss)
    add_metric(db, begun.id, 1, "learning_rate", 1e-4)
    stored = metrics(db, begun.id, "loss")
    assert stored[:2] == [(1, "loss", 2.0), (2, "loss", 0.75)]
    assert stored[2][0] == 3 and math.isnan(stored[2][2])
    assert metrics(db, begun.id)[0] == (1, "learning_rate", 1e-4)


def test_each_answer_to_each_case_is_kept(db, begin):
    begun = begin()
    case = {"case_id": "7", "slice": "new wordings"}
    add_evaluation(db, begun.id, **case, row="candidate", answer="select 1", right=True)
    add_evaluation(db, begun.id, **case, row="base", answer="I\0 do not know", right=False)
    add_evaluation(db, begun.id, **case, row="base", answer="no", right=False)
    assert evaluations(db, begun.id) == [
        EvaluationRow(begun.id, "7", "new wordings", "candidate", "select 1", True),
        EvaluationRow(begun.id, "7", "new wordings", "base", "no", False),
    ]


def test_unknown_ones_are_named(db):
    with pytest.raises(NotFound, match="no round 99.*rounds list"):
        tuning_round(db, 99)
    with pytest.raises(NotFound, match="no workspace"):
        create_round(db, 99, config={}, base_fingerprint="b")
