"""The search by Ray Tune: the round's own dials first, the best that ended, within its budget."""

import json
import os
import time
from importlib.util import find_spec

import psutil
import pytest

from tests.tuning.runners.ray_cluster import running
from tests.tuning.test_sweep import whole
from tuning.child import RoundCancelled, RoundFailed, in_child
from tuning.runners.ray import Ray, RaySettings
from tuning.runners.returned import PARCEL
from tuning.sweep import SCORED, SEARCH, write_pool

__all__ = ["whole"]
NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
FIRST = {"method": "lora", "objective": "sft", "rank": 4, "epochs": 12, "rate_share": 1e-5}


@pytest.fixture
def pool(whole, tmp_path):
    """Makes what a search gets; its own dials learn nothing, another rate does."""
    write_pool(whole, tmp_path / "pool", "w")

    def made(**more):
        spec = {
            "space": {
                "method": ["lora"],
                "objective": ["sft"],
                "rank": [4],
                "epochs": [12],
                "rate_share": [1e-5, 20.0],
            },
            "first": FIRST,
            "trials": 4,
            "minutes": 30.0,
            "threads": 1,
            "seed": 3,
            "cpus": 1.0,
            "gpus": 0.0,
            **more,
        }
        (tmp_path / "pool" / SEARCH).write_text(json.dumps(spec))
        return tmp_path / "pool"

    return made


def search(folder, base, said=None, cancelled=lambda: False):
    how = ["--model", str(base.folder), "--parent", str(os.getpid())]
    return in_child(
        ["-m", "tuning.search", str(folder), *how],
        folder.parent / "sweep.log",
        on_said=(said if said is not None else []).append,
        cancelled=cancelled,
    )


def rays():
    """Ray's processes of this machine."""
    return {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "raylet"}


def until_gone(before):
    deadline = time.monotonic() + 30
    while rays() - before and time.monotonic() < deadline:
        time.sleep(0.2)
    return rays() - before


@NEEDS_RAY
@pytest.mark.slow
def test_it_finds_the_rate_that_learns_and_leaves_nothing_running(pool, tiny_base):
    before, said = rays(), []
    found = search(pool(), tiny_base, said)
    assert found["best"] == {**FIRST, "rate_share": 20.0}
    assert len(found["trials"]) == 4 and found["trials"][0]["dials"] == FIRST
    scores = {one["dials"]["rate_share"]: one["score"] for one in found["trials"] if one["ended"]}
    assert scores[20.0] > scores.get(1e-5, -1)
    notes = [one["note"] for one in said if "note" in one]
    assert any(note.startswith("sweep: trial 1 of 4, epoch ") for note in notes)
    assert until_gone(before) == set()


@NEEDS_RAY
@pytest.mark.slow
def test_minutes_that_are_over_end_it_with_what_there_is(pool, tiny_base):
    more = {"trials": 500, "minutes": 2.0}
    started = time.monotonic()
    found = search(pool(**more), tiny_base)
    assert time.monotonic() - started < 400
    assert 1 <= len(found["trials"]) < 500 and found["best"]


@NEEDS_RAY
@pytest.mark.slow
def test_a_cancel_leaves_nothing_running(pool, tiny_base):
    before, said = rays(), []
    with pytest.raises(RoundCancelled):
        search(pool(), tiny_base, said, cancelled=lambda: any("note" in one for one in said))
    assert until_gone(before) == set()


@NEEDS_RAY
@pytest.mark.slow
def test_trials_that_all_fail_are_a_sentence(pool, tiny_base, tmp_path):
    folder = pool(trials=1)
    (tmp_path / "base").mkdir()
    with pytest.raises(RoundFailed, match="Every trial of the sweep failed"):
        search(folder, type("Base", (), {"folder": tmp_path / "base"}))


@NEEDS_RAY
@pytest.mark.slow
def test_a_cluster_searches_and_keeps_nothing_that_people_wrote(pool, tiny_base, tmp_path):
    """Two nodes of a CPU, so two trials beside each other."""
    said, folder, log = [], pool(), tmp_path / "sweep.log"
    with running() as cluster:
        by_ray = Ray(RaySettings(cluster.address, token=cluster.token))
        how = {"on_progress": said.append, "cancelled": lambda: False}
        found = by_ray.search(folder, tiny_base.folder, log, **how)
        assert found["best"] == {**FIRST, "rate_share": 20.0} and len(found["trials"]) == 4
        assert any("sweep: trial 1 of 4" in one.get("note", "") for one in said)
        assert not folder.exists(), "what went up stays here too"
        people = ("train.jsonl", SCORED, PARCEL)
        assert [path for path in cluster.folder.rglob("*") if path.name in people] == []
