"""`apprentice backup`, `restore` and `backup purge` as typed."""

import pytest

from assistant.cli import main
from tests.assistant.command_line import refusal, write_rows


@pytest.fixture
def filled(apprentice, tmp_path):
    row = {"question": "How long?", "correction": "Two years, and not a day more."}
    apprentice("feedback", "import", write_rows(tmp_path / "rows.jsonl", row), "--approve")
    return apprentice


def test_there_and_back_again(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (made,) = filled.rows("backup", "copy.tar.gz")
    assert made["file"] == str(tmp_path / "copy.tar.gz") and made["size"] > 0
    assert "verified" in filled("backup", "another.tar")
    filled("restore", "copy.tar.gz", code=2)
    assert "not empty" in refusal(filled)
    filled.data = tmp_path / "new"
    (restored,) = filled.rows("restore", "copy.tar.gz")
    assert restored["rows"]["feedback"] == 1 and "what was erased after that" in filled.said
    assert filled.rows("feedback", "list")[0]["correction"].startswith("Two years")
    filled("restore", "nowhere.tar", code=2)


def test_purging_asks_and_deletes_what_is_older_than_an_erasure(filled, tmp_path):
    path = tmp_path / "copy.tar"
    filled("backup", path)
    assert filled.rows("backup", "purge", "--yes") == [] and path.exists()
    (done,) = filled.rows("erase", "--feedback", 1)
    assert [item["what"] for item in done["still_held"]] == ["backup"]
    filled("backup", "purge", code=2)
    assert "--yes" in refusal(filled) and path.exists()
    assert "deleted" in filled("backup", "purge", "--yes")
    assert not path.exists()
    (again,) = filled.rows("erase", "--feedback", 1)
    assert again["still_held"] == []


def test_a_broken_file_is_one_sentence(filled, tmp_path, capsys):
    (tmp_path / "broken.tar").write_bytes(b"no tar at all")
    assert main(["--data", str(tmp_path / "new"), "restore", str(tmp_path / "broken.tar")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()
