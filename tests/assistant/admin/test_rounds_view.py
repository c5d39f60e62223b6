"""Rounds in words."""

from types import SimpleNamespace

import pytest

from assistant.admin.rounds_view import history, plan_summary, running
from storage.records import Job, TuningRound
from tuning.config import RoundConfig


def tuning_round(**more):
    known = {"id": 5, "workspace_id": 1, "job_id": 9, "state": "done", "start_adapter_id": None}
    known |= {"base_fingerprint": "f", "config": {"method": "qlora", "rank": 16}}
    known |= {"created_at": "2026-11-21T04:00:00.000Z", "finished_at": "2026-11-21T04:12:10.000Z"}
    return TuningRound(**(known | more))


def job(**more):
    known = {"id": 9, "kind": "round", "workspace_id": 1, "state": "running", "progress": 0.5}
    known |= {"note": "step 3 of 6", "cancel_requested": False, "pid": 1, "created_at": ""}
    return Job(**(known | more))


@pytest.mark.parametrize(
    "more, said",
    [
        ({"verdict": "promote"}, "Round 5: Promoted, better than what served."),
        ({"verdict": "reject"}, "Round 5: Not taken."),
        ({"verdict": "not enough evidence"}, "Round 5: Not enough evidence to take it."),
        ({"state": "failed", "error": "the <process> was killed"}, "Round 5: Failed."),
        ({"state": "cancelled"}, "Round 5: Cancelled."),
        ({"config": {"blames": 4}}, "Round 5: round 4 trained again without some rows."),
    ],
)
def test_how_a_round_ended_is_said_in_words(more, said):
    shown = history([(tuning_round(**more), {})])
    assert said in shown
    assert "12 min" in shown
    if "error" in more:
        assert "<li>the &lt;process&gt; was killed</li>" in shown


def test_reasons_scores_and_dials_are_there():
    done = tuning_round(
        verdict="reject",
        reasons=("It has 4 right <and> what serves 6.",),
        scores={
            "scores": {"candidate": {"new wordings": {"right": 4, "total": 10}}},
            "training": {"learned": 9, "pairs": 12},
        },
    )
    shown = history([(done, {"loss": [(1, 2.0), (2, 1.0)]})])
    assert "<li>It has 4 right &lt;and&gt; what serves 6.</li>" in shown
    assert "<td>The new adapter</td><td>4 of 10</td>" in shown
    assert "<dd>9 of 12</dd>" in shown
    assert "<dt>Rank</dt><dd>16</dd>" in shown
    assert "<svg" in shown


def test_what_a_person_should_know_of_it_is_listed():
    config = {"method": "lora", "notes": ["Adapter 2 is taught on."]}
    ended = tuning_round(config=config, scores={"notes": ["Memory ran out at 768."]})
    shown = history([(ended, {})])
    assert "<li>Adapter 2 is taught on.</li><li>Memory ran out at 768.</li>" in shown


def test_a_round_that_went_on_by_itself_says_so_while_it_runs():
    known = tuning_round(state="running", config={"resumption": "It <went> on."})
    assert "It &lt;went&gt; on." in running(known, job(), {})


def test_no_round_is_a_sentence():
    assert "No round yet." in history([])


def test_a_running_round_shows_its_bar_and_its_loss():
    shown = running(tuning_round(state="running"), job(), {"loss": [(1, 2.0), (2, 1.0)]})
    assert "50% · step 3 of 6" in shown
    assert "<svg" in shown


def test_a_cancelled_round_says_that_it_is_stopping():
    assert "stopping" in running(tuning_round(), job(cancel_requested=True), {})
    assert "waiting to start" in running(tuning_round(), job(state="queued", note=""), {})


def test_the_plan_says_what_it_costs():
    plan = SimpleNamespace(
        train=40, held_out=12, needs=13, replay=4, paraphrases=2, minutes=7.5,
        memory_bytes=2_300_000_000, advice="Worth a <round>.", advice_kind="prompt",
        config=RoundConfig(method="lora"), served_by="llamacpp", start=SimpleNamespace(id=3),
        notes=("Adapter 3 <is> taught on.",), measured="by 2 rounds",
        judged=(1, 2, 3), runner="accelerate", trained_by="trains on 2 <GPUs>",
    )  # fmt: skip
    shown = plan_summary(plan)
    assert "<dd>accelerate: trains on 2 &lt;GPUs&gt;</dd>" in shown
    assert "<dd>about 7.5 minutes (by 2 rounds)</dd>" in shown
    assert "<dd>adapter 3</dd>" in shown and "Adapter 3 &lt;is&gt; taught on." in shown
    assert "Try an instruction first." in shown
    assert "<dd>about 2.3 GB</dd>" in shown
    assert "<dd>lora</dd>" in shown and "<dd>llamacpp</dd>" in shown
    assert "<dd>3</dd>" in shown
    assert "Worth a &lt;round&gt;." in shown


def test_rate_log_and_what_was_kept_out_are_drawn():
    measured = {"learning_rate": [(1, 2e-4), (2, 1e-4)], "learned": [(1, 3), (2, 9)]}
    shown = running(tuning_round(state="running"), job(), measured, "step 1\nstep <2>")
    assert "Rate by step" in shown and "Pairs learned by step" in shown
    assert "Loss" not in shown
    assert "step 1&#10;step &lt;2&gt;" in shown
    assert "<summary>Log" not in running(tuning_round(), job(), {})


def test_rounds_are_compared_by_what_was_kept_out():
    def judged(id, right):
        scores = {"candidate": {"new wordings": {"right": right, "total": 10}}}
        return tuning_round(id=id, verdict="promote", scores={"scores": scores}), {}

    two = [judged(6, 8), judged(5, 4)]
    assert 'in percent by round, now 80"' in history([*two, (tuning_round(id=4), {})])
    assert "From round to round" not in history(two[:1])
