"""The runner of a round: by name or as the house has it, and what leaves is on record before."""

import logging
import time
from contextlib import closing
from functools import partial
from importlib.util import find_spec

import pytest
from huggingface_hub import constants
from pydantic import SecretStr

from assistant.round_plan import plan_round
from assistant.rounds import start_round
from assistant.runners import note_leaving, runner_of, runner_of_round
from assistant.settings import Settings, read_settings
from storage.copies import copies_of
from storage.errors import BadInput, Refused
from storage.rounds import create_round, tuning_round
from storage.workspaces import create_workspace, workspace_by_id
from storage.workspaces import workspace as workspace_named
from tests.assistant.command_line import run_verb, write_rows
from tests.assistant.hub import TOKEN, running_hub
from tests.tuning.runners.conftest import make_bundle
from tests.tuning.runners.ray_cluster import running
from tuning.bundle import TrainRow, bundle_hash
from tuning.runners.hf_jobs import JobsSettings


@pytest.fixture
def bundle(tmp_path, tiny_base):
    row = TrainRow("1", "g", (), (1, 2, 3), "", (90, 91), None, "correction", None)
    return make_bundle(tmp_path / "bundle", tiny_base, [row])


@pytest.fixture
def known(app, workspace):
    """A round that was begun with a runner."""

    def made(**config):
        with closing(app.db()) as db:
            queued = create_round(db, workspace.id, config=config, base_fingerprint="f")
            return tuning_round(db, queued.id)

    return made


def test_the_house_has_one_and_a_round_may_name_another(monkeypatch):
    assert runner_of(Settings()).name == "local"
    monkeypatch.setenv("APPRENTICE_RUNNER", "accelerate")
    assert runner_of(read_settings()).name == "accelerate"
    assert runner_of(read_settings(), "hf-jobs").name == "hf-jobs"


def test_a_workspace_may_have_its_own(app, workspace, tmp_path):
    rows = [{"question": f"What is {n}?", "correction": f"It is {n}."} for n in range(9)]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    run_verb(app, "workspaces set", name="default", values=["runner=accelerate"])
    with closing(app.db()) as db:
        mine = workspace_by_id(db, workspace.id)
    assert plan_round(app, mine).runner == "accelerate"
    assert plan_round(app, mine, runner="local").runner == "local"
    with pytest.raises(BadInput, match="'slurm' is no runner"):
        run_verb(app, "workspaces set", name="default", values=["runner=slurm"])


@pytest.mark.parametrize("name", ["slurm", "Local", "hf_jobs"])
def test_an_unknown_one_is_refused_in_a_sentence(name):
    with pytest.raises(
        BadInput, match=f"{name!r} is no runner: take local, accelerate, hf-jobs, ray"
    ):
        runner_of(Settings(runner=name))


def test_a_round_goes_on_with_the_one_it_was_begun_with(known):
    settings = Settings(runner="hf-jobs")
    assert runner_of_round(settings, known(runner="accelerate")).name == "accelerate"


def test_one_of_an_earlier_release_was_trained_here(known):
    assert runner_of_round(Settings(runner="hf-jobs"), known()).name == "local"


def test_a_bundle_that_leaves_is_on_record_and_one_that_stays_is_not(
    app, known, bundle, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    item = known(runner="hf-jobs", actor="ada")
    settings = Settings(hf_jobs_token=TOKEN, hf_jobs_namespace="acme")
    with closing(app.db()) as db:
        note_leaving(db, item, bundle, runner_of(settings, "local"))
        assert copies_of(db, (), (item.id,)) == []
        note_leaving(db, item, bundle, runner_of(settings, "hf-jobs"))
        (copy,) = copies_of(db, (), (item.id,))
    assert (copy.kind, copy.actor, copy.hash) == ("bundle", "ada", bundle_hash(bundle.folder))
    assert "/datasets/acme/apprentice-round-" in copy.place
    assert TOKEN not in repr(settings) and TOKEN not in caplog.text


def test_a_token_that_the_hub_does_not_know_is_found_before_a_round(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", hub.url, raising=False)
        assert "account ada" in runner_of(Settings(hf_jobs_token=TOKEN), "hf-jobs").ready()
        with pytest.raises(Exception, match="log in with HF_TOKEN"):
            runner_of(Settings(hf_jobs_token="hf_bad"), "hf-jobs").ready()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accelerate", "hf-jobs"])
def test_a_round_trained_by_another_runner_is_judged_here(app, tmp_path, monkeypatch, name):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    rows = [
        {"question": f"{ask} {need}?", "correction": f"Answer {need}.", "group": f"need {need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with running_hub() as hub:
        there = partial(JobsSettings, endpoint=hub.url)  # what HF_ENDPOINT says at the start
        monkeypatch.setattr("assistant.runners.JobsSettings", there)
        more = {"hf_jobs_token": SecretStr(TOKEN), "hf_jobs_image": "own"}
        monkeypatch.setattr(app, "settings", app.settings.model_copy(update=more))
        dials = ["epochs=2", "rank=2", "replay_share=0"]
        options = {"method": "lora", "dials": dials, "runner": name}
        (result,), _ = run_verb(app, "tune", workspace="default", **options)
        assert not [repo for repo in hub.repos if "apprentice-round" in repo]
        assert len(hub.jobs.all) == (name == "hf-jobs")
    assert result["verdict"] in ("promote", "reject", "not enough evidence")
    (shown,), _ = run_verb(app, "rounds show", id=result["round"])
    assert shown["config"]["runner"] == name and shown["loss"] is not None
    with closing(app.db()) as db:
        copies = copies_of(db, (), (result["round"],))
    assert [copy.kind for copy in copies] == ["bundle"] * (name == "hf-jobs")


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.slow
def test_rounds_of_two_workspaces_train_on_a_cluster_at_once(app, tmp_path, monkeypatch):
    """Each is judged here, on record as what left the house, and no workspace gets a second one."""
    for name in ("default", "other"):
        if name == "other":
            with closing(app.db()) as db:
                create_workspace(db, name)
        path = write_rows(tmp_path / f"{name}.jsonl", *needs(name))
        run_verb(app, "feedback import", workspace=name, file=str(path), approve=True)
    with running() as cluster:
        token = SecretStr(cluster.token)
        more = {"ray_address": cluster.address, "ray_token": token, "runner": "ray"}
        monkeypatch.setattr(app, "settings", app.settings.model_copy(update=more))
        dials = {"method": "lora", "epochs": 60, "rank": 2, "replay_share": 0, "learned_loss": 0}
        with closing(app.db()) as db:
            both = [workspace_named(db, name) for name in ("default", "other")]
            begun = [start_round(app, one, dials=dials, actor="t") for one in both]
            with pytest.raises(Refused, match="not finished"):
                start_round(app, both[0], dials=dials, actor="t")
            at_once, deadline = False, time.monotonic() + 300
            while any(tuning_round(db, one.id).state in ("queued", "running") for one in begun):
                assert time.monotonic() < deadline
                at_once |= cluster.trains(1) and cluster.trains(2)
                time.sleep(0.1)
            ended = [tuning_round(db, one.id) for one in begun]
            copies = [copies_of(db, (), (one.id,)) for one in begun]
    assert [one.state for one in ended] == ["done", "done"], [one.error for one in ended]
    assert at_once and all(one.verdict for one in ended)
    for (copy,) in copies:
        assert copy.kind == "bundle" and cluster.address in copy.place


def needs(name):
    return [
        {"question": f"{ask} {name} {need}?", "correction": f"Answer {need}.", "group": f"n {need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
