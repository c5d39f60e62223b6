"""The program on the head: pieces come together whole, and go on line by line."""

import base64
import json

import pytest

from tuning.runners.job import SAID
from tuning.runners.ray_job import Home
from tuning.runners.ray_task import Piece


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_a_file_is_there_with_its_last_piece_and_not_before(home):
    home.take(Piece("f", 0, 2, b"one "))
    assert home.pieces("f") == []
    home.take(Piece("f", 1, 2, b"two"))
    assert b"".join(home.pieces("f")) == b"one two"


def test_one_that_is_broken_off_leaves_the_last_that_was_whole(home):
    """The node was lost while it sent its second checkpoint; the next node sends its own."""
    home.take(Piece("f", 0, 1, b"first"))
    home.take(Piece("f", 0, 2, b"lost "))
    assert home.pieces("f") == [b"first"]
    home.take(Piece("f", 0, 2, b"sec"))
    home.take(Piece("f", 1, 2, b"ond"))
    assert b"".join(home.pieces("f")) == b"second"


def test_a_file_is_told_in_lines_of_the_log(home, capsys, monkeypatch):
    monkeypatch.setattr("tuning.runners.ray_job.LINE_BYTES", 4)
    home.take(Piece("f", 0, 1, b"0123456789"))
    home.send("f")
    home.send("none")
    lines = [json.loads(line)[SAID] for line in capsys.readouterr().out.splitlines()]
    assert [(line["file"], line["at"], line["of"]) for line in lines] == [
        ("f", at, 3) for at in range(3)
    ]
    assert b"".join(base64.b64decode(line["data"]) for line in lines) == b"0123456789"
