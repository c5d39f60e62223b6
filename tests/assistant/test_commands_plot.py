"""Plots as typed: a new file, or a sentence."""

from xml.etree import ElementTree

import pytest

from storage.database import open_database
from storage.datadir import open_datadir
from storage.rounds import add_metric, create_round, finish_round
from tests.assistant.command_line import refusal


@pytest.fixture
def round_id(apprentice):
    with open_database(open_datadir(apprentice.data).database) as db:
        made = create_round(db, 1, config={}, base_fingerprint="f" * 64)
        for step in (1, 2):
            add_metric(db, made.id, step, "loss", 1 / step)
        finish_round(db, made.id, state="done", verdict="reject")
    return made.id


def test_a_drawing_and_its_numbers(apprentice, round_id, tmp_path):
    svg, table = tmp_path / "loss.svg", tmp_path / "loss.csv"
    assert f"The plot loss is in {svg}." in apprentice("plot", "loss", "--to", svg)
    ElementTree.parse(svg)
    (row,) = apprentice.rows("plot", "loss", "--round", round_id, "--to", table)
    assert row == {"plot": "loss", "file": str(table), "rows": 2}
    assert table.read_bytes() == b"step,Loss\r\n1,1.0\r\n2,0.5\r\n"
    assert table.stat().st_mode & 0o777 == 0o600


def test_bad_input_is_a_sentence_and_writes_nothing(apprentice, round_id, tmp_path):
    there = tmp_path / "there.svg"
    there.write_text("mine")
    for words, said in (
        (("loss", "--to", tmp_path / "a.png"), "end its name in .svg or .csv"),
        (("loss", "--to", there), "exists already"),
        (("loss", "--to", tmp_path / "no" / "a.svg"), "cannot be written"),
        (("pie", "--to", tmp_path / "a.svg"), "There is no plot 'pie'"),
        (("ratings", "--to", tmp_path / "a.svg"), "needs a thumb"),
        (("loss", "--round", "9", "--to", tmp_path / "a.svg"), "There is no round 9"),
        (("loss", "--round", "x", "--to", tmp_path / "a.svg"), "--round"),
        (("loss",), "--to"),
    ):
        apprentice("plot", *words, code=2)
        assert said in refusal(apprentice)
    assert there.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".svg", ".csv")] == [
        "there.svg"
    ]
