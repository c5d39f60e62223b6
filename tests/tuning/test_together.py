"""Who computes which part of a step; the sums themselves are in runners/test_accelerate.py."""

import os
import time

import pytest
import torch

from tests.tuning.small import PAIRS, REPLAY
from tuning.batches import parts
from tuning.config import RoundConfig
from tuning.course import Course
from tuning.together import Together


@pytest.fixture
def of_three(monkeypatch):
    """Each of three processes, as its environment makes it."""

    def made(rank):
        monkeypatch.setenv("WORLD_SIZE", "3")
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        return Together()

    return [made(rank) for rank in range(3)]


def test_every_part_has_one_who_computes_it(of_three):
    found = parts([*PAIRS, *REPLAY], 12)
    dealt = [one.mine(found) for one in of_three]
    assert sorted(place for mine in dealt for place in mine) == list(range(len(found)))
    load = [sum(len(found[place].ids) for place in mine) for mine in dealt]
    assert max(load) - min(load) <= max(len(part.ids) for part in found)


def test_one_leads_and_all_have_the_same_clock(of_three):
    assert [one.leads for one in of_three] == [True, False, False]
    assert {one.clock() for one in of_three} == {0.0}


@pytest.mark.parametrize("wanted, own", [(6, 2), (2, 1), (0, max(1, (os.cpu_count() or 1) // 3))])
def test_threads_are_shared_out(of_three, wanted, own):
    assert of_three[0].threads(wanted) == own


def test_alone_it_does_nothing():
    alone = Together()
    found = parts(PAIRS, 12)
    assert alone.leads and alone.mine(found) == list(range(len(found)))
    assert alone.threads(5) == 5 and alone.all([1, 2]) == [1, 2]
    assert abs(alone.clock() - time.monotonic()) < 5
    weights = torch.nn.Parameter(torch.ones(2))
    alone.add_up([weights])
    assert weights.grad is None


@pytest.mark.parametrize("at_least", [1, 2, 3, 50])
def test_a_step_is_cut_so_that_each_has_something_to_do(at_least):
    def steps(of):
        course = Course(PAIRS, RoundConfig(batch_size=5, step_tokens=768))
        return [course.next_parts(of) for _ in range(2)]

    for whole, cut in zip(steps(1), steps(at_least), strict=True):
        assert len(cut) >= min(at_least, 5)
        told = [sorted(row.id for part in step for row in part.rows) for step in (whole, cut)]
        assert told[0] == told[1], "another step than one process makes"
