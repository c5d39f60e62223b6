"""One round at work here at a time; those that train elsewhere beside it."""

import os

import pytest

from storage.jobs import job
from storage.rounds import create_round, finish_round, resume_round, tuning_round
from storage.turns import give_turn, take_turn, take_turn_back
from storage.workspaces import create_workspace


@pytest.fixture
def begin(db, workspace):
    """Makes a queued round, the first of the workspace `default`, each other of its own."""
    made = []

    def one():
        name = f"other{len(made)}"
        where = create_workspace(db, name) if made else workspace
        made.append(where)
        return create_round(db, where.id, config={"rank": 4}, base_fingerprint="b")

    return one


def taken(db, item):
    return take_turn(db, item.id, os.getpid()) is None


def test_rounds_of_a_machine_run_one_at_a_time_in_their_order(db, begin):
    first, second = begin(), begin()
    assert take_turn(db, second.id, os.getpid()) == f"waiting for round {first.id} of default"
    assert job(db, second.job_id).note == f"waiting for round {first.id} of default"
    assert take_turn(db, first.id, os.getpid()) is None
    assert take_turn(db, second.id, os.getpid()) is not None
    finish_round(db, first.id, state="failed")
    assert take_turn(db, second.id, os.getpid()) is None
    assert (job(db, second.job_id).state, job(db, second.job_id).note) == ("running", "")


def test_one_that_trains_elsewhere_is_not_in_the_way(db, begin):
    first, second, third = begin(), begin(), begin()
    assert taken(db, first) and not taken(db, second)
    give_turn(db, first.id)
    assert taken(db, second) and not taken(db, third)
    assert take_turn_back(db, first.id) == f"waiting for round {second.id} of other1"
    give_turn(db, second.id)
    assert take_turn_back(db, first.id) is None
    assert not taken(db, third), "a round before it is at work here"
    assert take_turn_back(db, second.id) == f"waiting for round {first.id} of default"
    finish_round(db, first.id, state="failed")
    assert take_turn_back(db, second.id) is None
    finish_round(db, second.id, state="failed")
    assert taken(db, third)


def test_a_later_one_that_is_judged_here_goes_before_one_that_is_queued(db, begin):
    first, second, third = begin(), begin(), begin()
    for item in (first, second, third):
        assert taken(db, item)
        give_turn(db, item.id)
    finish_round(db, first.id, state="failed")
    assert take_turn_back(db, third.id) is None
    again = resume_round(db, first.id, actor="t")
    assert take_turn_back(db, second.id) == f"waiting for round {third.id} of other2"
    assert not taken(db, again)
    assert tuning_round(db, third.id).config == {"rank": 4}


def test_a_round_that_was_away_when_it_was_killed_is_here_again(db, begin):
    first = begin()
    assert taken(db, first)
    give_turn(db, first.id)
    finish_round(db, first.id, state="failed")
    again = resume_round(db, first.id, actor="t")
    second = begin()
    assert not taken(db, second), "one that only waits is not away"
    assert taken(db, again)
    assert not taken(db, second)
