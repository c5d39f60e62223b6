"""A job followed over connections that break; the job is one of the stand-in Hub's that runs."""

import time

import pytest
from huggingface_hub import HfApi, constants

from storage.hub import HubFailed
from tests.assistant.hub import TOKEN, running_hub
from tuning.child import RoundCancelled
from tuning.runners import job_log
from tuning.runners.job_log import Lost, followed


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(job_log, "AGAIN_SECONDS", 0.1)
    with running_hub() as hub:
        yield hub


def start(hub, command):
    return hub.jobs.start("ada", {"command": ["sh", "-c", command], "environment": {}})


def follow(hub, job, *, cancelled=lambda: False, token=TOKEN):
    lines = []
    api = HfApi(endpoint=hub.url, token=token)
    info = followed(api, job.id, "ada", on_line=lines.append, cancelled=cancelled)
    return info, lines


@pytest.mark.parametrize("cuts", [0, 2])
def test_each_line_comes_once(hub, cuts):
    hub.jobs.cuts = cuts
    info, lines = follow(hub, start(hub, "for i in 1 2 3 4; do echo $i; sleep 0.1; done"))
    assert lines == ["1", "2", "3", "4"] and hub.jobs.cuts == 0
    assert info.status.stage == "COMPLETED"


def test_how_it_ended_is_told(hub):
    info, lines = follow(hub, start(hub, "echo no; exit 3"))
    assert (info.status.stage, info.status.message) == ("ERROR", "Job failed with exit code: 3")
    assert lines == ["no"]


def test_a_cancel_is_seen_while_nothing_is_said(hub):
    job, since = start(hub, "sleep 60"), time.monotonic()
    with pytest.raises(RoundCancelled):
        follow(hub, job, cancelled=lambda: time.monotonic() - since > 0.5)
    assert time.monotonic() - since < 20


def test_a_hub_that_stays_away_is_lost(hub, monkeypatch):
    monkeypatch.setattr(job_log, "LOST_SECONDS", 0.3)
    job = start(hub, "sleep 60")
    hub.down = True
    with pytest.raises(Lost, match="resume the round"):
        follow(hub, job)


def test_a_refusal_is_not_tried_again(hub):
    with pytest.raises(HubFailed, match="answer 401"):
        follow(hub, start(hub, "true"), token="hf_bad")
