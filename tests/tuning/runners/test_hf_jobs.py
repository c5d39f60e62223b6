"""A job on a stand-in of the Hub that really runs its command: a real adapter comes back."""

import dataclasses
import json
import threading
import time

import psutil
import pytest
from huggingface_hub import constants

from storage.errors import Refused
from tests.assistant.hub import TOKEN, running_hub
from tests.tuning.runners.conftest import make_bundle, train
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint
from tuning.child import LOG, RoundCancelled, RoundFailed
from tuning.runners import job_log
from tuning.runners.hf_jobs import NEEDS, RECORD, HfJobs, JobsSettings


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(job_log, "AGAIN_SECONDS", 0.2)
    with running_hub() as hub:
        yield hub


def runner(hub, **more):
    return HfJobs(JobsSettings(token=TOKEN, endpoint=hub.url, image="own", **more))


def round_repos(hub):
    return [name for name in hub.repos if "apprentice-round" in name]


def test_a_bundle_goes_up_and_an_adapter_comes_back(hub, tmp_path, tiny_base, bundle):
    hub.jobs.cuts = 1
    said = []
    result = train(runner(hub), bundle, tmp_path / "out", tiny_base, said=said)
    assert result["steps"] == 12 and result["losses"][-1] < result["losses"][0] / 10
    assert [one["step"] for one in said if "step" in one] == list(range(1, 13)), "said twice"
    manifest = verify_adapter(tmp_path / "out" / "adapter", tiny_base.fingerprint)
    assert manifest.extra["bundle"] == bundle_hash(bundle.folder)
    assert json.loads((tmp_path / "out" / "training.json").read_text()) == result
    (job,) = hub.jobs.all.values()
    assert hub.jobs.cuts == 0 and job.stage == "COMPLETED"
    assert job.spec["flavor"] == "l4x1" and job.spec["timeoutSeconds"] == 60 * 105
    assert round_repos(hub) == [] and not (tmp_path / "out" / RECORD).exists()
    (base,) = hub.repos
    assert "model.safetensors" in hub.repos[base] and base not in hub.public
    assert TOKEN not in json.dumps([job.spec["environment"], job.spec["command"], job.log])
    assert TOKEN not in (tmp_path / "out" / LOG).read_text(errors="replace")


def test_a_job_that_fails_says_why(hub, tmp_path, tiny_base, bundle):
    broken = dataclasses.replace(tiny_base, folder=tmp_path / "no base")
    broken.folder.mkdir()
    (broken.folder / "config.json").write_text("{}")
    with pytest.raises(RoundFailed, match="holds no .safetensors file"):
        train(runner(hub), bundle, tmp_path / "out", broken)
    assert round_repos(hub) == []


def test_one_that_dies_without_a_word_is_told_by_the_hubs(hub, tmp_path, tiny_base, bundle):
    done = threading.Thread(target=_ends, args=(hub, "ERROR", "Job timeout"))
    hub.jobs.runs = False
    done.start()
    with pytest.raises(RoundFailed, match=r"ended as ERROR \(Job timeout\)"):
        train(runner(hub), bundle, tmp_path / "out", tiny_base)
    done.join()
    assert round_repos(hub) == []


def _ends(hub, stage, message):
    """The first job ends so, as soon as there is one."""
    deadline = time.monotonic() + 60
    while not hub.jobs.all and time.monotonic() < deadline:
        time.sleep(0.02)
    job = next(iter(hub.jobs.all.values()))
    job.message, job.stage = message, stage


def test_a_cancel_ends_the_job_there(hub, tmp_path, tiny_base, bundle):
    hub.jobs.runs = False
    with pytest.raises(RoundCancelled):
        train(
            runner(hub),
            bundle,
            tmp_path / "out",
            tiny_base,
            cancelled=lambda: bool(hub.jobs.all),
        )
    assert [job.stage for job in hub.jobs.all.values()] == ["CANCELED"]
    assert round_repos(hub) == []


def test_a_fault_of_ours_leaves_no_job_behind(hub, tmp_path, tiny_base, bundle):
    def cancelled():
        if hub.jobs.all:
            raise OSError("the disk is full")
        return False

    hub.jobs.runs = False
    with pytest.raises(OSError, match="disk"):
        train(runner(hub), bundle, tmp_path / "out", tiny_base, cancelled=cancelled)
    assert [job.stage for job in hub.jobs.all.values()] == ["CANCELED"]
    assert round_repos(hub) == []


def test_what_the_hub_refuses_is_one_sentence(hub, tmp_path, tiny_base, bundle):
    hub.jobs.refuses = "the balance is used up"
    with pytest.raises(RoundFailed, match="answer 402"):
        train(runner(hub), bundle, tmp_path / "out", tiny_base)
    assert round_repos(hub) == []


def test_without_a_token_or_with_a_bad_one_nothing_starts(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(Refused, match="APPRENTICE_HF_JOBS_TOKEN"):
        HfJobs(JobsSettings(endpoint=hub.url)).ready()
    with pytest.raises(Exception, match="answer 401") as refused:
        HfJobs(JobsSettings(endpoint=hub.url, token="hf_bad")).ready()
    assert "hf_bad" not in str(refused.value)
    assert "account ada" in runner(hub).ready()
    assert TOKEN not in repr(JobsSettings(token=TOKEN))


def test_the_repository_is_named_before_anything_goes_there(hub, bundle):
    place = runner(hub).place(bundle.folder)
    assert place.startswith(f"{hub.url}/datasets/ada/apprentice-round-")
    assert hub.repos == {}


@pytest.mark.slow
def test_a_lost_hub_leaves_the_job_to_a_resumed_round(
    hub, tmp_path, tiny_base, bundle, monkeypatch
):
    monkeypatch.setattr(job_log, "LOST_SECONDS", 0.5)
    lost = threading.Thread(target=_down_after_start, args=(hub,))
    lost.start()
    with pytest.raises(RoundFailed, match="goes on there"):
        train(runner(hub), bundle, tmp_path / "out", tiny_base)
    lost.join()
    assert len(hub.jobs.all) == 1 and (tmp_path / "out" / RECORD).exists()
    hub.down = False
    result = train(runner(hub), bundle, tmp_path / "out", tiny_base, options=["--resume"])
    assert result["steps"] == 12
    assert len(hub.jobs.all) == 1, "another job was started"
    assert round_repos(hub) == []
    verify_adapter(tmp_path / "out" / "adapter", tiny_base.fingerprint)


def _down_after_start(hub):
    deadline = time.monotonic() + 60
    while not hub.jobs.all and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1)
    hub.down = True


@pytest.mark.slow
def test_a_job_that_broke_off_leaves_a_checkpoint_to_go_on_from(hub, tmp_path, tiny_base, rows):
    taken = make_bundle(tmp_path / "b", tiny_base, rows, epochs=400, checkpoint_steps=2)
    said, out = [], tmp_path / "out"
    killer = threading.Thread(target=_kill_training, args=(hub, said))
    killer.start()
    with pytest.raises(RoundFailed, match="killed after step"):
        train(runner(hub), taken, out, tiny_base, said=said)
    killer.join()
    found = last_checkpoint(out, bundle_hash(taken.folder))
    assert found.step >= 2 and round_repos(hub) == []
    again = []
    result = train(runner(hub), taken, out, tiny_base, said=again, options=["--resume"])
    assert result["steps"] == 800
    assert [one["step"] for one in again if "step" in one] == list(range(found.step + 1, 801))


def _kill_training(hub, said):
    """The training itself, within the job, once it has made a few steps."""
    deadline = time.monotonic() + 120
    while sum("step" in one for one in said) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    (job,) = hub.jobs.all.values()
    for process in psutil.Process(job.pid).children(recursive=True):
        if "tuning.run" in process.cmdline():
            process.kill()


def test_uv_brings_the_versions_that_train_here(hub, tmp_path, tiny_base, bundle):
    hub.jobs.runs = False
    threading.Thread(target=_ends, args=(hub, "ERROR", "enough"), daemon=True).start()
    settings = JobsSettings(token=TOKEN, endpoint=hub.url, flavor="a10g-small", timeout_minutes=90)
    with pytest.raises(RoundFailed, match="enough"):
        train(HfJobs(settings), bundle, tmp_path / "out", tiny_base)
    (job,) = hub.jobs.all.values()
    command = job.spec["command"]
    assert job.spec["dockerImage"].startswith("ghcr.io/astral-sh/uv")
    assert command[:2] == ["uv", "run"] and command.count("--with") == len(NEEDS)
    assert not any("+" in word for word in command if "==" in word)
    assert (job.spec["flavor"], job.spec["timeoutSeconds"]) == ("a10g-small", 5400)
