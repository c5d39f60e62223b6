"""Rounds as typed: what there is, how far it is, stopping one, taking its bundle elsewhere."""

import json

import pytest

from storage.adapters import add_adapter
from storage.copies import copies_of
from storage.database import open_database
from storage.datadir import open_datadir
from storage.jobs import beat, start_job
from storage.records import RoundExample
from storage.rounds import add_metric, create_round, finish_round
from tests.assistant.command_line import refusal
from tuning.bundle import bundle_hash


@pytest.fixture
def db(apprentice):
    with open_database(open_datadir(apprentice.data).database) as db:
        yield db


@pytest.fixture
def running(db):
    """A round at a third of its way."""
    examples = [
        RoundExample(0, "correction", split, None, "g", "h")
        for split in ("train", "train", "new wordings")
    ]
    made = create_round(db, 1, config={"rank": 8}, base_fingerprint="f" * 64, examples=examples)
    start_job(db, made.job_id, 1)
    beat(db, made.job_id, 0.33, "step 3 of 9")
    add_metric(db, made.id, 3, "loss", 0.5)
    return made


def test_round_at_work(apprentice, running):
    (row,) = apprentice.rows("rounds", "list")
    assert (row["round"], row["state"], row["done"], row["start"]) == (1, "running", 0.33, "base")
    (row,) = apprentice.rows("rounds", "show", running.id)
    assert (row["note"], row["loss"], row["config"]) == ("step 3 of 9", 0.5, {"rank": 8})
    assert row["examples"] == {"train": 2, "new wordings": 1}


def test_finished_round_has_its_verdict(apprentice, db, running):
    reasons = ["4 of 5 right, 1 before"]
    finish_round(db, running.id, state="done", verdict="promote", reasons=reasons)
    (row,) = apprentice.rows("rounds", "show", running.id)
    assert (row["state"], row["verdict"], row["reasons"]) == ("done", "promote", reasons)
    assert "promote" in apprentice("rounds", "list")


def test_cancel_asks_the_worker_once_it_runs(apprentice, db, running):
    apprentice("rounds", "cancel", running.id)
    assert beat(db, running.job_id, 0.4) is True
    finish_round(db, running.id, state="cancelled")
    apprentice("rounds", "cancel", running.id, code=2)
    assert "cancelled" in refusal(apprentice)


def test_bundle_is_copied_to_a_new_folder(apprentice, db, running, tmp_path):
    bundle = apprentice.data / "rounds" / "1" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text(json.dumps({"rank": 8}))
    apprentice("rounds", "export", running.id, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"rank": 8}
    apprentice("rounds", "export", running.id, tmp_path / "out", code=2)
    assert "exists" in refusal(apprentice)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (copy,) = copies_of(db, [], [running.id])
    assert (copy.kind, copy.place) == ("bundle", str(tmp_path / "out"))
    assert copy.hash == bundle_hash(bundle) and copy.actor.startswith("cli:")


def test_round_without_a_bundle_is_not_exported(apprentice, running, tmp_path):
    apprentice("rounds", "export", running.id, tmp_path / "out", code=2)
    assert "bundle" in refusal(apprentice)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [("show", "9"), ("cancel", "9"), ("resume", "9"), ("export", "9", "x")]
)
def test_unknown_round(apprentice, words):
    apprentice("rounds", *words, code=2)
    assert "9" in refusal(apprentice)


def test_a_bundle_takes_the_adapter_along_that_it_goes_on_from(apprentice, db, tmp_path):
    parent = add_adapter(
        *(db, 1),
        round_id=None,
        parent_id=None,
        base_fingerprint="f" * 64,
        method="lora",
        manifest_hash="m",
    )
    made = create_round(db, 1, config={}, base_fingerprint="f" * 64, start_adapter_id=parent.id)
    bundle = apprentice.data / "rounds" / str(made.id) / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    apprentice("rounds", "export", made.id, tmp_path / "out", code=2)
    assert f"adapter {parent.id}, which is gone" in refusal(apprentice)
    folder = apprentice.data / "adapters" / str(parent.id)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    apprentice("rounds", "export", made.id, tmp_path / "out")
    assert (tmp_path / "out" / "start" / "manifest.json").is_file()
    assert [(copy.kind, copy.adapter_id) for copy in copies_of(db, adapter_ids=[parent.id])] == [
        ("export", parent.id)
    ]


def test_a_round_that_runs_is_not_resumed(apprentice, running):
    apprentice("rounds", "resume", running.id, code=2)
    assert "start a new one" in refusal(apprentice)
