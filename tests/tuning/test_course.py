"""When a run slows down and stops: by its clock, its steps, or because the pairs are learned."""

import math

import pytest

from tests.tuning.small import COMPARED, PAIRS, REPLAY, THUMBS
from tuning.config import RoundConfig
from tuning.course import (
    COOL_DOWN_EPOCHS,
    THUMBS_LEARNED,
    WARM_UP_STEPS,
    Course,
    TrainingFailed,
)


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def course(clock, **dials):
    values = {"epochs": 20, "batch_size": 5, "replay_share": 0.0, "learned_loss": 0.1, **dials}
    return Course(PAIRS, RoundConfig(**values), clock)


def run_step(course, loss):
    step_parts = course.next_parts()
    for part in step_parts:
        course.saw(part, [loss] * len(part.rows), [loss < 0.1] * len(part.rows))
    course.end_step(loss)


def test_without_haste_all_epochs_are_run(clock):
    run = course(clock)
    steps = 0
    while not run.done() if steps else True:
        run_step(run, 1.0)
        steps += 1
    assert steps == run.steps == 40
    assert run.result().stopped == "all epochs done"
    assert run.result().losses == (1.0,) * 20


def test_the_rate_warms_up_and_comes_down_to_zero(clock):
    run = course(clock)
    rates = [run.rate(step) for step in range(run.steps + 1)]
    assert rates[0] == pytest.approx(1 / WARM_UP_STEPS)
    assert max(rates) > 0.95
    assert rates[WARM_UP_STEPS:] == sorted(rates[WARM_UP_STEPS:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)


def test_minutes_end_it_with_the_rate_at_zero(clock):
    run = course(clock, max_minutes=2)
    run_step(run, 1.0)
    clock.now += 60
    assert run.rate(5) == pytest.approx(0.5)
    assert not run.done()
    clock.now += 60
    assert run.rate(5) == pytest.approx(0.0, abs=1e-9)
    assert run.done()
    assert run.result().stopped == "time is up"
    assert run.result().seconds == 120


def test_learned_pairs_end_it_after_cooling_down(clock):
    run = course(clock)
    for _ in range(4):
        run_step(run, 1.0)
    while not run.done():
        run_step(run, 0.01)
    per_epoch = 2
    assert run.result().stopped == "learned"
    assert run.result().learned == len(PAIRS)
    assert run.result().steps == 4 + per_epoch + COOL_DOWN_EPOCHS * per_epoch
    assert run.rate(run.result().steps) == pytest.approx(0.0, abs=1e-9)


def test_it_counts_learned_pairs_and_never_replay(clock):
    config = RoundConfig(epochs=2, batch_size=100, replay_share=1.0)
    run = Course([*PAIRS, *REPLAY], config, clock)
    for part in run.next_parts():
        run.saw(part, [0.5] * len(part.rows), [one.id in ("p1", "r1") for one in part.rows])
    assert run.learned == 1


def test_one_unlearned_pair_keeps_it_going(clock):
    run = course(clock, batch_size=10)
    for _ in range(5):
        (part,) = run.next_parts()
        run.saw(part, [3.0 if one.id == "p3" else 0.01 for one in part.rows], [True] * 10)
        run.end_step(0.3)
        assert not run.done()


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_at_once(clock, loss):
    run = course(clock)
    run_step(run, 1.0)
    with pytest.raises(TrainingFailed, match="at step 2.*learning rate below 0.001"):
        run_step(run, loss)


def test_progress_grows_from_nothing_to_all(clock):
    run = course(clock)
    shares = []
    for _ in range(run.steps):
        run_step(run, 1.0)
        shares.append(run.share_done)
    assert 0 < shares[0] < 0.1
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_steps_are_cut_into_parts(clock):
    run = course(clock, batch_size=10, step_tokens=16)
    assert [len(part.ids) for part in run.next_parts()] == [15, 11]


def test_thumbs_are_learned_at_a_loss_of_their_own(clock):
    config = RoundConfig(epochs=20, batch_size=5, replay_share=0.0, learned_loss=0.1)

    def steps(pairs, thumbs):
        run = Course([*PAIRS, *THUMBS], config, clock)
        while not run.done():
            for part in run.next_parts():
                loss = thumbs if part.is_thumb else pairs
                run.saw(part, [loss] * len(part.rows), [True] * len(part.rows))
            run.end_step(1.0)
        assert run.learned == run.pairs == len(PAIRS) + len(THUMBS)
        return run.result().stopped

    assert steps(0.05, THUMBS_LEARNED - 0.01) == "learned"
    assert steps(0.05, THUMBS_LEARNED + 0.01) == "all epochs done"
    assert steps(0.2, THUMBS_LEARNED - 0.01) == "all epochs done"


def test_both_kinds_of_thumbs_count_the_same_together(clock):
    run = Course(THUMBS, RoundConfig(), clock)
    up, down = run.thumb_weights
    assert 4 * up == 3 * down and min(up, down) == 1.0
    assert Course(THUMBS[1:3], RoundConfig(), clock).thumb_weights == (1.0, 2.0)


def test_wrong_answers_are_brought_along_and_are_nothing_to_learn(clock):
    run = Course(COMPARED, RoundConfig(objective="dpo", learned_loss=0.1), clock)
    for part in run.next_parts():
        assert [row.kind for row in part.rows] == ["correction", "rejected"] * 4
        run.saw(part, [0.01, 9.0] * 4, [True, False] * 4)
    assert run.learned == run.pairs == 4
    plain = Course(COMPARED, RoundConfig(objective="sft"), clock)
    assert all(len(part.rows) == 4 for part in plain.next_parts())
