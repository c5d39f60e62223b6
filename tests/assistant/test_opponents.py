"""How far a round is, told in its rows; and who stands against its candidate."""

import os

import pytest

from assistant.opponents import ANSWER_TOKENS, CANDIDATE, Watch, answer_tokens, opposing_rows
from storage.jobs import job, request_cancel, start_job
from storage.rounds import create_round, metrics
from tuning.evaluate import Case

STEP = {"step": 5, "steps": 20, "loss": 1.5, "learning_rate": 1e-3, "learned": 3, "pairs": 8}


@pytest.fixture
def queued(db, workspace):
    made = create_round(db, workspace.id, config={}, base_fingerprint="b")
    start_job(db, made.job_id, os.getpid())
    return made


@pytest.fixture
def told():
    return []


@pytest.fixture
def watch(db, queued, told):
    return Watch(db, queued, lambda share, note: told.append((round(share, 4), note)))


def test_steps_of_the_training_are_the_round_from_5_to_75_percent(db, queued, watch, told):
    watch.training(STEP)
    assert told == [(0.225, "training: step 5, loss 1.500, 3 of 8 pairs learned")]
    assert job(db, queued.job_id).progress == pytest.approx(0.225)
    assert job(db, queued.job_id).note == told[0][1]
    watch.training({**STEP, "step": 6, "done": 0.5, "seconds_left": 20})
    assert told[-1][0] == 0.4, "the course's own share counts before that of its steps"
    assert told[-1][1].endswith("3 of 8 pairs learned, about 1 min left")
    watch.training({**STEP, "step": 30, "done": 1.4, "seconds_left": 0})
    assert told[-1][0] == 0.75 and "min left" not in told[-1][1]


def test_the_curve_is_kept_by_step(db, queued, watch):
    watch.training(STEP)
    watch.training({"step": 6, "steps": 20, "loss": 1.0})
    assert metrics(db, queued.id, "loss") == [(5, "loss", 1.5), (6, "loss", 1.0)]
    assert metrics(db, queued.id, "learned") == [(5, "learned", 3.0)]
    assert metrics(db, queued.id, "learning_rate") == [(5, "learning_rate", 1e-3)]


def test_a_note_leaves_the_share_as_it_is(db, queued, watch, told):
    watch.say(0.6, "training")
    watch.training({"note": "checking general knowledge: 8 of 40"})
    assert told[-1] == (0.6, "checking general knowledge: 8 of 40")
    assert metrics(db, queued.id) == []


def test_it_reads_in_the_row_whether_to_stop(db, queued, watch):
    assert watch.round_id == queued.id and not watch.cancelled()
    request_cancel(db, queued.job_id)
    assert watch.cancelled()


def case(id, **more):
    return Case(id, "g", "new wordings", (), (1, 2), "yes", **more)


def test_there_is_room_for_the_longest_answer_that_is_wanted_and_served(app, workspace):
    assert answer_tokens(app, workspace, []) == ANSWER_TOKENS
    assert answer_tokens(app, workspace, ["yes"]) == ANSWER_TOKENS
    long, longer = ("order " * times for times in (ANSWER_TOKENS // 2 + 20, 2000))
    wanted = len(app.tokenizer.completion_ids(long))
    most = workspace.settings.max_tokens
    assert ANSWER_TOKENS < wanted < most
    assert answer_tokens(app, workspace, ["yes", long]) == wanted
    assert answer_tokens(app, workspace, [longer]) == most


ALONE = {"candidate_alone": CANDIDATE, "serving_alone": 7, "base_alone": None}


@pytest.mark.parametrize(
    ("cases", "more"),
    [
        ([case("1")], {}),
        ([case("1"), case("2", few_shot_ids=(3, 4))], {"few_shot": None}),
        ([case("1"), case("2", bare_ids=(1,))], ALONE),
        ([case("1", few_shot_ids=(3,), bare_ids=(1,))], {"few_shot": None, **ALONE}),
    ],
)
def test_rows_are_those_that_the_cases_have_prompts_for(cases, more):
    always = {"candidate": CANDIDATE, "serving": 7, "base": None}
    assert opposing_rows(7, cases) == {**always, **more}


def test_where_the_base_serves_it_is_what_serves():
    assert opposing_rows(None, [case("1", bare_ids=(1,))])["serving_alone"] is None
