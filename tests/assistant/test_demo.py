"""The demo around its story: which directory it takes, and that it does not run twice.

The story itself, with the real model, is in tests/end_to_end/test_demo.py.
"""

import pytest

from assistant import demo
from assistant.sample.build_database import build_database
from assistant.settings import Settings
from storage.errors import Refused


def test_other_peoples_data_is_refused_and_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear diary")
    with pytest.raises(Refused, match="that the demo did not make"):
        demo.run_demo(Settings(data=tmp_path), serve=False, fresh=True)
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]


def test_starting_over_keeps_the_base_model_and_nothing_else(tmp_path):
    demo._start_over(tmp_path)
    (tmp_path / "models" / "base").mkdir(parents=True, exist_ok=True)
    (tmp_path / "documents" / "1").mkdir(parents=True)
    (tmp_path / demo.REPORT).write_text("half a table")
    demo._start_over(tmp_path)
    assert (tmp_path / "models" / "base").is_dir()
    assert {item.name for item in tmp_path.iterdir()} <= demo.KEPT


def test_a_finished_demo_is_not_run_again(tmp_path, capsys):
    (tmp_path / demo.REPORT).write_text("the table of last time")
    assert demo.run_demo(Settings(data=tmp_path), serve=False) == 0
    said = capsys.readouterr().out
    assert "has run already" in said and "the table of last time" in said
    assert [item.name for item in tmp_path.iterdir()] == [demo.REPORT]


def test_the_demo_keeps_to_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("APPRENTICE_DATA")
    assert demo._with_directory(Settings()).data == demo.DEFAULT_DATA
    assert demo._with_directory(Settings(data=tmp_path)).data == tmp_path


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("SELECT trade_name FROM accounts WHERE tier = 'Anchor';", "gives 6 rows"),
        ("SELECT * FROM orders;", "no such table: orders"),
        ("DROP TABLE accounts", "this is no query"),
        ("Ask the office, please.", "this is no query"),
    ],
)
def test_what_the_database_says_to_an_answer(tmp_path, said, outcome):
    database = build_database(tmp_path / "company.sqlite")
    before = database.read_bytes()
    assert outcome in demo._outcome(database, said)
    assert database.read_bytes() == before


def test_the_wording_shown_beside_the_founding_one_was_never_taught():
    taught = {row["question"] for row in demo._rows("corrections.jsonl")}
    assert demo.FOUNDING in taught and demo._new_wording() not in taught
