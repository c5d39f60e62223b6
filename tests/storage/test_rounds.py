import math
import sqlite3
import threading

import pytest

from storage.adapters import add_adapter
from storage.audit import list_audit
from storage.database import insert, open_database, write, write_transaction
from storage.errors import NotFound, Refused
from storage.feedback import add_feedback, approve, reject
from storage.jobs import finish_job, job, running_jobs
from storage.records import EvaluationRow, RoundExample
from storage.rounds import (
    add_evaluation,
    add_metric,
    create_round,
    evaluations,
    finish_round,
    list_rounds,
    measured_trainings,
    metrics,
    refuse_second,
    resume_round,
    round_examples,
    taught_before,
    tuning_round,
    withdrawn_examples,
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


@pytest.mark.parametrize("trial", range(10))
def test_a_hundred_that_start_one_at_once_get_one(datadir, db, workspace, tried, trial):
    tried("B10")
    outcomes = []
    together = threading.Barrier(100)

    def start():
        with open_database(datadir.database) as own:
            together.wait()
            try:
                outcomes.append(create_round(own, workspace.id, config={}, base_fingerprint="b"))
            except Refused as refused:
                outcomes.append(refused)

    threads = [threading.Thread(target=start) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(outcome, Refused) for outcome in outcomes) == 99
    assert len(running_jobs(db)) == 1
    with pytest.raises(Refused, match="not finished"):
        refuse_second(db, workspace.id)


@pytest.fixture
def failed(db, begin, corrected):
    """A round that failed after it was taught one correction; (round, feedback)."""
    given = corrected("q", "a", yes=True)
    made = begin(examples=[RoundExample(0, "correction", "train", given.id, "need", "h")])
    return finish_round(db, made.id, state="failed", error="killed"), given


def test_a_failed_round_is_queued_again_and_its_first_job_stays(db, failed):
    before, _ = failed
    again = resume_round(db, before.id, actor="user:1")
    assert (again.id, again.state, again.error) == (before.id, "queued", None)
    assert again.job_id != before.job_id
    assert (job(db, before.job_id).state, job(db, before.job_id).error) == ("failed", "killed")
    assert list_audit(db)[0].action == "round resumed"
    with pytest.raises(Refused, match="is queued"):
        resume_round(db, before.id, actor="user:1")
    finish_round(db, before.id, state="cancelled")
    assert resume_round(db, before.id, actor="user:1").state == "queued"
    finish_round(db, before.id, state="done", verdict="reject")
    with pytest.raises(Refused, match="is done"):
        resume_round(db, before.id, actor="user:1")


def test_while_another_round_runs_none_resumes(db, failed, begin):
    begin()
    with pytest.raises(Refused, match="not finished"):
        resume_round(db, failed[0].id, actor="user:1")


def test_a_round_with_what_was_erased_or_rejected_does_not_resume(db, failed):
    known, given = failed
    reject(db, given.id, reviewer="user:1")
    with pytest.raises(Refused, match="1 corrections .*apprentice tune"):
        resume_round(db, known.id, actor="user:1")
    with write_transaction(db):
        write(db, "delete from feedback where id = ?", given.id)
    with pytest.raises(Refused, match="erased, withdrawn or changed"):
        resume_round(db, known.id, actor="user:1")
    assert tuning_round(db, known.id).state == "failed"


def later(db):
    """Whatever is on record by now was made an hour ago."""
    with write_transaction(db):
        write(db, "update rounds set created_at = '2020-01-02T00:00:00.000Z'")
        write(db, "update feedback set reviewed_at = '2020-01-01T00:00:00.000Z'")


def test_what_was_changed_since_is_taught_no_more_as_it_was(db, begin, corrected):
    first, second, third = (corrected(f"q{n}", f"a{n}", yes=True) for n in range(3))
    examples = [
        RoundExample(0, "correction", "train", one.id, "g", "h") for one in (first, second, third)
    ]
    made = begin(examples=[*examples, RoundExample(0, "replay", "train", None, "", "h")])
    later(db)
    assert withdrawn_examples(db, made.id) == 0
    approve(db, first.id, reviewer="user:1", correction="other words")
    assert withdrawn_examples(db, made.id) == 1
    corrected("q1", "a newer answer", yes=True)
    assert withdrawn_examples(db, made.id) == 2
    same = corrected("q2 again", "a2", yes=True)
    approve(db, third.id, reviewer="user:1", same_as=same.id)
    with write_transaction(db):
        write(db, "update feedback set reviewed_at = '2020-01-01' where id = ?", third.id)
    assert withdrawn_examples(db, made.id) == 2, "merged with one that says the same"


@pytest.mark.parametrize("kind", ["preference", "thumb"])
def test_a_thumb_that_was_withdrawn_counts_as_a_correction_does(db, begin, reply_to, kind):
    given = add_feedback(
        db, message_id=reply_to("q").id, origin="staff", contributor="user:1", rating=1
    )
    approve(db, given.id, reviewer="user:2")
    made = begin(examples=[RoundExample(0, kind, "train", given.id, "g", "h")])
    assert withdrawn_examples(db, made.id) == 0
    reject(db, given.id, reviewer="user:2")
    assert withdrawn_examples(db, made.id) == 1
    finish_round(db, made.id, state="failed")
    with pytest.raises(Refused, match="1 corrections or thumbs"):
        resume_round(db, made.id, actor="user:1")


def test_a_round_on_a_tainted_adapter_does_not_resume(db, workspace, begin, candidate):
    parent = candidate()
    known = begin(start_adapter_id=parent.id)
    finish_round(db, known.id, state="failed")
    with write_transaction(db):
        write(db, "update adapters set status = 'tainted' where id = ?", parent.id)
    with pytest.raises(Refused, match="tainted"):
        resume_round(db, known.id, actor="user:1")


def test_what_an_adapter_and_its_parents_were_taught(db, workspace, begin, corrected):
    def taught(*given, parent=None):
        examples = [RoundExample(0, "correction", "train", one.id, "g", "h") for one in given]
        made = begin(examples=examples, start_adapter_id=parent)
        finish_round(db, made.id, state="done", verdict="promote")
        return add_adapter(
            *(db, workspace.id),
            round_id=made.id,
            parent_id=parent,
            base_fingerprint="b",
            method="lora",
            manifest_hash="m",
        )

    first, second, third = (corrected(f"q{n}", f"a{n}", yes=True) for n in range(3))
    parent = taught(first, second)
    child = taught(third, parent=parent.id)
    assert taught_before(db, parent.id) == {first.id: True, second.id: True}
    approve(db, second.id, reviewer="user:1", correction="other words")
    assert taught_before(db, child.id) == {first.id: True, second.id: False, third.id: True}


def test_what_was_changed_after_a_bundle_left_the_house_is_not_taught(
    db, workspace, begin, corrected
):
    given = corrected("q", "a", yes=True)
    examples = [RoundExample(0, "correction", "train", given.id, "g", "h")]
    exported = begin(examples=examples)
    finish_round(db, exported.id, state="cancelled")
    later(db)
    approve(db, given.id, reviewer="user:1", correction="other words")
    back = begin(config={"trained_elsewhere": exported.id}, examples=examples)
    finish_round(db, back.id, state="done", verdict="promote")
    made = add_adapter(
        *(db, workspace.id),
        round_id=back.id,
        parent_id=None,
        base_fingerprint="b",
        method="lora",
        manifest_hash="m",
    )
    assert taught_before(db, made.id) == {given.id: False}
    assert withdrawn_examples(db, back.id) == 1


def test_measured_rounds_are_those_with_a_training_on_this_base(db, workspace, begin):
    assert measured_trainings(db, "b") == []
    measured = {"training": {"seconds": 12.5}}
    for scores in (measured, {}, {"training": {"seconds": 0}}):
        finish_round(db, begin().id, state="done", verdict="reject", scores=scores)
    elsewhere = begin(config={"trained_elsewhere": 1})
    finish_round(db, elsewhere.id, state="done", verdict="reject", scores=measured)
    assert [one.id for one in measured_trainings(db, "b")] == [1]
    assert measured_trainings(db, "another") == []


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
