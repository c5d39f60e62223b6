import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from storage.database import insert, rows, write_transaction
from storage.text import clean, to_json


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("plain", "plain"),
        ("Grüße, 東京, 🙂\n\ttab", "Grüße, 東京, 🙂\n\ttab"),
        ("a\0b", "ab"),
        ("lone \ud800!", "lone \ufffd!"),
        ("halves \ud83d\ude42", "halves 🙂"),
        ("\udcff\0", "\ufffd"),
    ],
)
def test_only_what_cannot_be_stored_changes(typed, stored):
    assert clean(typed) == stored


@given(st.text(st.characters(codec=None)))
def test_clean_text_is_storable_and_stays_itself(text):
    cleaned = clean(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert clean(cleaned) == cleaned


def test_json_cleans_what_is_nested_and_has_no_nan():
    value = {"a\0": ["\ud800", {"n": math.nan}], "t": (1, True, None, 0.5), "literal": "\\u0000"}
    assert json.loads(to_json(value)) == {
        "a": ["\ufffd", {"n": None}],
        "t": [1, True, None, 0.5],
        "literal": "\\u0000",
    }


def test_sqlite_keeps_cleaned_text_whole(db: Database):
    text = clean("before\0after \ud800")
    with write_transaction(db):
        insert(db, "jobs", kind=text)
    stored = rows(db, "select kind, length(kind) as length from jobs")[0]
    assert stored == {"kind": text, "length": len(text)}
