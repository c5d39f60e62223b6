"""The million rows in small: what comes out is right, and what is in memory does not grow along."""

import json
import tracemalloc
from contextlib import closing

import pytest

from storage.database import open_database, rows
from storage.pairs import wordings
from tests.benchmarks.bench_rows import fill, ours
from tuning.bundle import read_bundle
from tuning.split import split


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("rows")
    fill(made, 4000)
    return made


def test_every_pair_is_written_or_held_out(folder, tmp_path):
    done = ours(folder, tmp_path / "bundle")
    with closing(open_database(folder / "apprentice.db")) as db:
        newest = {
            row["question_key"]: row["id"]
            for row in rows(
                db,
                """select id, question_key from feedback
                where id not in (select feedback_id from duplicates) order by id""",
            )
        }
        splits = split(wordings(db, 1), salt="default")
    assert len(newest) < 4000 and set(splits) == set(newest.values())
    bundle = read_bundle(tmp_path / "bundle")
    trained = [int(row.id) for row in bundle.train]
    assert trained == [id for id, part in splits.items() if part == "train"]
    judged = {int(case.id) for case in bundle.heldout}
    assert judged == set(splits) - set(trained)
    assert done["rows"] == len(trained) and done["held"] == len(judged) > 100


def test_memory_holds_a_page_of_rows_and_not_all_of_them(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.pairs.PAGE", 100)
    monkeypatch.setattr("tests.benchmarks.bench_rows.TIMED", 10)
    monkeypatch.setattr("tuning.split.MOST_JUDGES", 20)
    monkeypatch.setattr("tuning.split.MOST_NEW_NEEDS", 2)
    tracemalloc.start()
    try:
        ours(folder, tmp_path / "bundle")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = (tmp_path / "bundle" / "train.jsonl").stat().st_size
    assert peak < size / 2, "the file alone would be more than that in memory"
    with (tmp_path / "bundle" / "train.jsonl").open() as file:
        first = json.loads(next(file))
    assert first["messages"][0]["role"] == "system" and first["completion_ids"]
