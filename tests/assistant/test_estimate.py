"""What a round costs: assumed at first, then what rounds here cost."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from assistant.engines.choose import has_cuda
from assistant.estimate import (
    SAID_A_SECOND,
    TOKENS_A_SECOND,
    assumed_bytes,
    pace,
    training_minutes,
    writing_minutes,
)
from assistant.written import Task
from storage.rounds import create_round, finish_round
from tuning.batches import Pass
from tuning.config import RoundConfig

CONFIG = RoundConfig(method="lora", epochs=10)


@pytest.fixture
def measured(app, workspace):
    """Adds a finished round: (method, seconds of training, all seconds)."""

    def add(method, training, seconds, base=None, **config):
        with closing(app.db()) as db:
            made = create_round(
                db,
                workspace.id,
                config={**RoundConfig(method=method).to_json(), "tokens_a_pass": 600, **config},
                base_fingerprint=base or app.base.fingerprint,
            )
            scores = {"training": {"seconds": training, "epochs": 5.0}, "seconds": seconds}
            scores["peak_rss_bytes"] = 123_000_000
            finish_round(db, made.id, state="done", verdict="reject", scores=scores)

    return add


def found(app, config=CONFIG):
    with closing(app.db()) as db:
        return pace(app, db, config)


def test_before_the_first_round_it_is_assumed(app):
    assert found(app).tokens_a_second == TOKENS_A_SECOND["cuda" if has_cuda() else "cpu"]
    assert found(app).peak_bytes == assumed_bytes(app, CONFIG)
    assert "assumed" in found(app).source


def test_rounds_here_are_what_counts(app, measured):
    measured("lora", 100.0, 160.0)
    measured("lora", 10.0, 12.0, base="f" * 64)
    known = found(app)
    assert (known.tokens_a_second, known.rest_minutes, known.measured) == (30.0, 1.0, 1)
    assert known.peak_bytes == 123_000_000
    assert "by the last 1 round here" in known.source
    # 600 tokens a pass, ten passes, thirty a second
    assert training_minutes(CONFIG, known, 600, Pass(8)) == pytest.approx(200 / 60)


def test_the_same_method_counts_before_another(app, measured):
    measured("qlora", 300.0, 300.0)
    assert found(app).tokens_a_second == 10.0
    assert found(app).peak_bytes == assumed_bytes(app, CONFIG), "another method's memory"
    measured("lora", 100.0, 100.0)
    assert (found(app).tokens_a_second, found(app).measured) == (30.0, 1)


def test_a_round_that_does_not_say_its_size_counts_for_nothing(app, measured):
    measured("lora", 100.0, 160.0, tokens_a_pass=0)
    assert found(app).measured == 0


def test_writing_costs_its_training_and_its_questions(app):
    known = found(app)
    assert writing_minutes(None, CONFIG, known) == 0.0
    taught = (SimpleNamespace(completion_ids=(1,) * 20),) * 80
    task = Task(taught, {}, samples=120, queries=30)
    learned = 80 * 60 * 8 / known.tokens_a_second / 60
    asked = 150 * 20 / SAID_A_SECOND["cuda" if has_cuda() else "cpu"] / 60
    assert writing_minutes(task, CONFIG, known) == pytest.approx(learned + asked)
    short = RoundConfig(max_minutes=0.06)
    # a sixth each for learning, wordings and new questions, none of which fits into it
    assert writing_minutes(task, short, known) == pytest.approx(0.03)


def test_what_another_runner_took_says_nothing_of_this_one(app, measured):
    measured("lora", 60.0, 90.0)
    measured("lora", 6.0, 90.0, runner="hf-jobs")
    with closing(app.db()) as db:
        here, there = (pace(app, db, CONFIG, runner) for runner in ("local", "hf-jobs"))
        assert pace(app, db, CONFIG, "accelerate").measured == 0
    assert there.tokens_a_second == pytest.approx(10 * here.tokens_a_second)
    assert (here.measured, there.measured) == (1, 1)
