"""`apprentice erase` as typed: one thing, by whom, and what is said of what is not there."""

import json
from contextlib import closing

import pytest

from storage.conversations import message
from storage.database import open_database
from storage.datadir import open_datadir
from storage.erasure_requests import file_request
from storage.feedback import feedback
from tests.assistant.command_line import refusal, write_rows

CANARY = "the blue heron's number is 4711-0815"


@pytest.fixture
def filled(apprentice, tmp_path):
    rows = [
        {"question": f"Question {n}?", "correction": f"{CANARY}, {n}.", "contributor": f"c{n % 2}"}
        for n in range(4)
    ]
    apprentice("feedback", "import", write_rows(tmp_path / "rows.jsonl", *rows), "--approve")
    return apprentice


def holding(data):
    files = [path for path in data.rglob("*") if path.is_file()]
    return [path.name for path in files if b"4711-0815, 1" in path.read_bytes()]


def test_each_of_the_three_is_erased_and_certified(filled):
    assert holding(filled.data)
    (done,) = filled.rows("erase", "--feedback", 2)
    assert done["verified"] and done["rows"][0] == {
        "table": "feedback",
        "id": 2,
        "hash": done["rows"][0]["hash"],
    }
    assert holding(filled.data) == []
    with closing(open_database(open_datadir(filled.data).database)) as db:
        talk = message(db, feedback(db, 1).message_id).conversation_id
    (done,) = filled.rows("erase", "--conversation", talk)
    assert done["subject"] == talk and done["verified"]
    said = filled("erase", "--contributor", "c1")
    assert "# Certificate of erasure 3" in said and "not unlearning" in said
    assert [row["id"] for row in filled.rows("feedback", "list")] == [3]
    certificate = json.loads((filled.data / "certificates" / "3.json").read_text())
    assert certificate["asked_by"].startswith("cli:")


def test_what_is_not_there_is_one_sentence_and_what_is_over_is_no_error(filled):
    for words in (("--feedback", 99), ("--conversation", "x"), ("--contributor", "nobody")):
        filled("erase", *words, code=2)
        assert str(words[1]) in refusal(filled)
    (done,) = filled.rows("erase", "--feedback", 1)
    (again,) = filled.rows("erase", "--feedback", 1)
    assert again == done and "It was erased on" in filled.said
    for words in ((), ("--feedback", 1, "--contributor", "c0"), ("--refuse",)):
        filled("erase", *words, code=2)
        assert "Name one thing" in refusal(filled)


def test_without_an_adapter_there_is_nothing_to_retrain(filled):
    (done,) = filled.rows("erase", "--feedback", 1, "--retrain")
    assert done["retrained"] == [] and done["adapters_tainted"] == []


def test_words_that_are_left_give_exit_code_1(filled):
    (filled.data / "left.txt").write_text(f"{CANARY}, 1.")
    (done,) = filled.rows("erase", "--feedback", 2, code=1)
    assert list(done["searched"]["found_in"]) == ["left.txt"]


def test_requests_are_listed_and_answered(filled):
    with closing(open_database(open_datadir(filled.data).database)) as db:
        yes = file_request(db, 1, "feedback", "1", requester="c0")
        no = file_request(db, 1, "contributor", "c1", requester="c1")
    assert [row["id"] for row in filled.rows("erase", "--requests")] == [yes.id, no.id]
    assert "asked by c0" in filled("erase", "--requests")
    (done,) = filled.rows("erase", "--request", yes.id)
    assert done["verified"]
    assert "refused" in filled("erase", "--request", no.id, "--refuse")
    assert filled.rows("erase", "--requests") == []
    filled("erase", "--request", no.id, code=2)
    assert "already refused" in refusal(filled)
    assert [row["id"] for row in filled.rows("feedback", "list")] == [4, 3, 2]
