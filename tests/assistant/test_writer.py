"""The writer in a real round on the tiny base, which writes rubbish: the round is as it was."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from assistant import lesson_rows, writer
from assistant.declared_checks import declared_checks
from assistant.lesson_rows import training_rows
from assistant.opponents import Watch
from assistant.round_plan import plan_round
from assistant.rounds import run_round_here
from assistant.writer import (
    backwards_row,
    sweep_writers,
    wordings_wanted,
    write,
    writer_config,
)
from assistant.written import NOTHING, Task, counts_of, task_of
from storage.jobs import request_cancel
from storage.rounds import create_round, list_rounds
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows
from tuning.bundle import read_bundle
from tuning.run import RoundCancelled

DIALS = {"method": "lora", "epochs": 1, "rank": 2, "replay_share": 0, "wordings": 1}
DIALS |= {"recombined_share": 0.5}


@pytest.fixture
def shop(app, tmp_path):
    """Nine needs of one wording each, answered by queries on a small database."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table items (name text, price integer)")
        connection.executemany(
            "insert into items values (?, ?)", [(f"n{n}", n) for n in range(1, 20)]
        )
        connection.commit()
    with closing(app.db()) as db:
        check = json.dumps([{"type": "sql", "database": str(path)}])
        made = set_workspace(db, "default", "checks", check)
    rows = [
        {
            "question": f"Which items cost more than {n}?",
            "correction": f"SELECT name FROM items WHERE price > {n}",
            "group": f"need {n}",
        }
        for n in range(1, 10)
    ]
    file = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(file), approve=True)
    return made


@pytest.fixture
def quick(monkeypatch):
    """Few steps: what the tiny base learns is rubbish either way."""
    monkeypatch.setattr(Task, "passes", lambda self, config: 1)
    monkeypatch.setattr(writer, "QUESTION_TOKENS", 8)


def watched(app, db, workspace):
    queued = create_round(db, workspace.id, config={}, base_fingerprint=app.base.fingerprint)
    return queued, Watch(db, queued, lambda share, note: None)


def test_rubbish_leaves_a_round_as_it_was(app, shop, quick):
    plan = plan_round(app, shop, DIALS)
    assert "9 needs have one or two wordings" in " ".join(plan.notes)
    assert "with numbers and common values of shop.sqlite" in " ".join(plan.notes)
    with closing(app.db()) as db:
        _, watch = watched(app, db, shop)
        folder = app.datadir.rounds / "1"
        folder.mkdir(parents=True)
        found = write(app, db, shop, plan, declared_checks(app, shop), folder, watch)
        rows = [
            list(training_rows(app, db, shop, plan.lessons, (), written))
            for written in (found, NOTHING)
        ]
    (note,) = found.notes
    assert note.startswith("The round wrote itself 0 of 9 other wordings that it tried, and 0 of ")
    assert not note.endswith(" 0 new questions.")
    assert found.counts == {} and rows[0] == rows[1] and found.minutes > 0
    assert not (folder / writer.FOLDER).exists()


def test_what_is_kept_is_taught(app, shop, quick, monkeypatch):
    """The writer is real; what it says is said in its place, as a better base would say it."""

    def said(self, answers, temperature, until, done):
        way = "List every item above" if temperature == writer.TEMPERATURE else "Items by"
        return [f"{way} {one.removeprefix('SELECT ')}" for one in answers]

    def stop(share, note):
        if note.startswith("training"):
            with closing(app.db()) as db:
                request_cancel(db, list_rounds(db, shop.id)[0].job_id)

    monkeypatch.setattr(writer._Asked, "of", said)
    monkeypatch.setattr("assistant.written.NEAR", 0.0)
    monkeypatch.setattr("assistant.written.ABOUT", 0.0)
    with pytest.raises(RoundCancelled):
        run_round_here(app, shop, dials=DIALS, actor="user:1", on_progress=stop)
    bundle = read_bundle(app.datadir.rounds / "1" / "bundle")
    pairs = {row.id: row for row in bundle.train if row.kind == "correction"}
    asked = Counter(
        (row.of, row.messages[-1]["content"])
        for row in bundle.train
        if row.messages[-1]["content"].startswith("List every item above")
    )
    whole = {
        id: f"List every item above {row.completion.removeprefix('SELECT ')}"
        for id, row in pairs.items()
    }
    kept = [id for id, text in whole.items() if asked[id, text]]
    assert kept and all(asked[id, whole[id]] == lesson_rows.WRITTEN_WEIGHT for id in kept)
    assert 1 <= bundle.config.max_minutes < plan_round(app, shop, DIALS).config.max_minutes
    assert counts_of(bundle.train)["written"] == len(kept)
    new = [row for row in bundle.train if row.kind == "recombined"]
    assert new and not {row.completion for row in new} & {row.completion for row in pairs.values()}
    for row in new:
        assert row.messages[-1]["content"] == f"Items by {row.completion.removeprefix('SELECT ')}"
    assert not (app.datadir.rounds / "1" / writer.FOLDER).exists()


def test_a_writer_that_cannot_be_trained_is_a_note(app, shop, quick, monkeypatch):
    monkeypatch.setattr("tuning.runners.local.PROGRAM", ["-c", "raise SystemExit(3)"])
    plan = plan_round(app, shop, DIALS)
    with closing(app.db()) as db:
        _, watch = watched(app, db, shop)
        folder = app.datadir.rounds / "1"
        folder.mkdir(parents=True)
        found = write(app, db, shop, plan, declared_checks(app, shop), folder, watch)
    assert found.counts == {} and "ended with code 3" in found.notes[0]
    assert not (folder / writer.FOLDER).exists()


def test_a_cancel_while_it_writes_ends_the_round(app, shop, quick):
    def cancel(share, note):
        if note == "writing other wordings":
            with closing(app.db()) as db:
                request_cancel(db, list_rounds(db, shop.id)[0].job_id)

    with pytest.raises(RoundCancelled):
        run_round_here(app, shop, dials=DIALS, actor="user:1", on_progress=cancel)
    with closing(app.db()) as db:
        (ended,) = list_rounds(db, shop.id)
    assert ended.state == "cancelled"
    folder = app.datadir.rounds / str(ended.id)
    assert not (folder / writer.FOLDER).exists() and not (folder / "bundle").exists()


def test_no_check_no_writer(app, shop, tmp_path):
    plan = plan_round(app, shop, DIALS)
    with closing(app.db()) as db:
        _, watch = watched(app, db, shop)
        assert write(app, db, shop, plan, [], tmp_path, watch) is NOTHING


def test_it_is_taught_the_other_way_round_and_asked_in_turn(app, shop):
    plan = plan_round(app, shop, DIALS)
    task = task_of(shop.settings.checks, plan.lessons, plan.config)
    row = backwards_row(app, task.taught[0])
    assert row.messages[-1]["content"] == task.taught[0].pair.chosen
    assert row.completion == task.taught[0].inputs.question
    config = writer_config(app, replace(plan.config, max_minutes=12, seed=3), task)
    assert (config.method, config.max_minutes, config.seed) == ("lora", 2.0, 3)
    assert config.epochs == 20
    first, second, other = task.taught[:3]
    two = replace(task, thin={"a": (first, second), "b": (other,)})
    assert wordings_wanted(two, 3) == [first, other, second, other, first, other]


def test_what_a_killed_writer_left_is_swept(tmp_path):
    for place in ("7/writer/out", "7/bundle", "8/out"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "weights").write_text("x")
    sweep_writers(tmp_path)
    assert sorted(one.name for one in tmp_path.glob("*/*")) == ["bundle", "out"]
