"""Where a round starts, and what it trains on from there."""

from contextlib import closing
from dataclasses import replace

import pytest

from assistant.lessons import lessons
from assistant.round_start import choose_start
from storage.adapters import add_adapter, promote
from storage.database import write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.records import RoundExample
from storage.rounds import create_round, finish_round
from tests.assistant.taught import teach
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter
from tuning.config import RoundConfig

CONFIG = RoundConfig(method="lora", max_minutes=10, earlier_share=0.5)


@pytest.fixture
def taught(app, workspace):
    teach(app, workspace)
    with closing(app.db()) as db:
        yield app, db, workspace, lessons(app, db, workspace)


def serving(app, db, workspace, learned, tmp_path, base=None, **config):
    """An adapter that serves, of a round that was taught `learned`."""
    made = create_round(
        db,
        workspace.id,
        config={**RoundConfig(method="lora", rank=4).to_json(), **config},
        base_fingerprint=app.base.fingerprint,
        examples=[
            RoundExample(0, "correction", "train", one.pair.feedback_id, one.pair.group, "h")
            for one in learned
        ],
    )
    finish_round(db, made.id, state="done", verdict="promote")
    raw = make_tiny_adapter(app.base, tmp_path / f"raw{made.id}")
    known = {"base_fingerprint": base or app.base.fingerprint, "method": "lora"}
    folder = app.adapter_folder(made.id)
    save_adapter(raw, folder, **known, round_id=made.id, metrics={})
    row = add_adapter(
        *(db, workspace.id),
        **known,
        round_id=made.id,
        parent_id=None,
        manifest_hash=manifest_hash(folder),
    )
    return promote(db, row.id, actor="gate")


def choose(taught, minutes, wanted=None, config=CONFIG, **asked):
    app, db, workspace, found = taught
    return choose_start(
        *(app, db, workspace, found, config),
        wanted=wanted,
        asked=asked,
        minutes=lambda some: minutes * len(some) / len(found),
    )


def ids(some):
    return {one.pair.feedback_id for one in some}


def test_from_the_base_while_it_fits(taught, tmp_path):
    serving(*taught[:3], taught[3], tmp_path)
    start = choose(taught, 10)
    assert start.adapter is None and start.notes == ()
    assert start.lessons == tuple(taught[3])


def test_beyond_the_minutes_what_serves_is_taught_on(taught, tmp_path):
    *_, found = taught
    parent = serving(*taught[:3], [one for one in found if one.split == "train"][:2], tmp_path)
    start = choose(taught, 11)
    assert start.adapter == parent
    trained = [one for one in start.lessons if one.split == "train"]
    before = {one.pair.feedback_id for one in [o for o in found if o.split == "train"][:2]}
    assert len(ids(trained) & before) == 1, "half of the two earlier ones"
    assert {one.pair.feedback_id for one in found if one.split == "train"} - before <= ids(trained)
    assert start.config.rank == 4
    assert "11 of 10 minutes" in start.notes[0]
    assert "1 of 2 earlier ones" in start.notes[1]
    assert choose(taught, 11) == start, "the choice is not seeded"


def test_what_the_parent_was_taught_judges_nothing(taught, tmp_path):
    *_, found = taught
    held_out = [one for one in found if one.split != "train"]
    assert held_out
    serving(*taught[:3], held_out, tmp_path)
    start = choose(taught, 11, config=replace(CONFIG, earlier_share=1.0))
    assert all(one.split == "train" for one in start.lessons)
    assert len(start.lessons) == len(found)


def test_another_shape_than_the_parents_is_said(taught, tmp_path):
    serving(*taught[:3], taught[3], tmp_path)
    start = choose(taught, 11, rank="32", method="lora")
    assert "rank 4 (not 32)" in start.notes[-1] and "method" not in start.notes[-1]


@pytest.mark.parametrize("broken", ["none", "another base", "damaged"])
def test_without_one_that_can_be_taught_on_it_is_the_base_and_says_so(taught, tmp_path, broken):
    app, db, workspace, found = taught
    if broken == "another base":
        serving(app, db, workspace, found, tmp_path, base="f" * 64)
    if broken == "damaged":
        parent = serving(app, db, workspace, found, tmp_path)
        (app.adapter_folder(parent.id) / "adapter_model.safetensors").write_bytes(b"no")
    start = choose(taught, 11)
    assert start.adapter is None and len(start.lessons) == len(found)
    assert "ends when time is up" in start.notes[0]


def test_the_wanted_start_is_taken_or_refused(taught, tmp_path):
    app, db, workspace, found = taught
    parent = serving(app, db, workspace, found[:1], tmp_path)
    assert choose(taught, 11, wanted="base").adapter is None
    assert choose(taught, 1, wanted=str(parent.id)).adapter == parent
    with pytest.raises(BadInput, match="'yesterday'"):
        choose(taught, 1, wanted="yesterday")
    with pytest.raises(NotFound, match="99"):
        choose(taught, 1, wanted="99")
    with write_transaction(db):
        write(db, "update adapters set status = 'tainted'")
    with pytest.raises(Refused, match="--from base"):
        choose(taught, 1, wanted=str(parent.id))
    assert choose(taught, 11).adapter is None, "a tainted one was taught on"
