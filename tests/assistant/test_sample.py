"""The sample company: is what the demo promises about it true?"""

import json
import math
import re
import sqlite3
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import tuning
from assistant import sample
from assistant.sample.build_database import build_database
from assistant.scoreboard import NEVER_TAUGHT
from tuning.checks import judge

SAMPLE = Path(sample.__file__).parent
DOCUMENTS = sorted((SAMPLE / "documents").iterdir())
FOUNDING = "List the completed orders in the past month."
CLOSED_STEMS = re.compile(r"clos|done|fulfil|finali|wrap|conclud|settl", re.IGNORECASE)


def rows(name, folder=SAMPLE):
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


CORRECTIONS, HELD_OUT, GENERAL = map(rows, ("corrections.jsonl", "heldout.jsonl", "general.jsonl"))
REPLAY, SENTINEL = (
    rows(name, Path(tuning.__file__).parent) for name in ("replay.jsonl", "sentinel.jsonl")
)
ASKED = [row for row in SENTINEL if row.get("asked")]
GOLD = {row["group"]: row["correction"] for row in CORRECTIONS}
QUERIES = {group: gold for group, gold in GOLD.items() if gold.startswith("SELECT")}


def runs_of_five(text):
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def all_runs(questions):
    return set().union(*map(runs_of_five, questions))


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return build_database(tmp_path_factory.mktemp("company") / "company.sqlite")


def test_there_are_as_many_corrections_needs_and_wordings_as_promised():
    wordings = Counter(row["group"] for row in CORRECTIONS)
    assert 60 <= len(CORRECTIONS) <= 75
    assert 12 <= len(wordings) <= 15
    assert all(4 <= count <= 6 for count in wordings.values()), wordings
    assert 50 <= len(HELD_OUT) <= 60
    held_out = Counter(row["group"] for row in HELD_OUT)
    assert held_out.keys() == wordings.keys()
    assert all(3 <= count <= 6 for count in held_out.values()), held_out


def test_no_question_occurs_twice():
    asked = [row["question"].casefold() for row in CORRECTIONS + HELD_OUT]
    assert len(asked) == len(set(asked))


def test_a_need_has_one_answer_and_held_out_expects_it():
    assert len({(row["group"], row["correction"]) for row in CORRECTIONS}) == len(GOLD)
    assert all(row["expected"] == GOLD[row["group"]] for row in HELD_OUT)
    assert all(row["answer"] != row["correction"] for row in CORRECTIONS)


def test_the_founding_sentence_is_taught_in_the_companys_own_names():
    taught = {row["question"]: row["correction"] for row in CORRECTIONS}
    assert all(name in taught[FOUNDING] for name in ("sales_orders", "'Closed'", "created_on"))


@pytest.mark.parametrize("group", GOLD)
def test_held_out_wordings_share_no_run_of_five_words_with_taught_ones(group):
    taught = all_runs(row["question"] for row in CORRECTIONS if row["group"] == group)
    for row in HELD_OUT:
        if row["group"] == group:
            assert not runs_of_five(row["question"]) & taught, row["question"]


def test_words_for_closed_that_are_never_taught():
    assert not [row["question"] for row in CORRECTIONS if CLOSED_STEMS.search(row["question"])]
    said = [row for row in HELD_OUT if NEVER_TAUGHT.search(row["question"])]
    assert len(said) >= 10
    assert all("status = 'Closed'" in row["expected"] for row in said)
    words = Counter(NEVER_TAUGHT.search(row["question"])[1].casefold() for row in said)
    assert len(words) >= 4, words


def test_prompts_and_answers_are_short():
    instructions = (SAMPLE / "instructions.txt").read_text("utf-8")
    for row in CORRECTIONS + HELD_OUT:
        # about 12 tokens of ChatML round two messages
        assert at_most_tokens(instructions) + at_most_tokens(row["question"]) + 12 <= 80
    assert all(at_most_tokens(gold) <= 80 for gold in GOLD.values())


def at_most_tokens(text):
    """An upper guess without a tokenizer: three letters of a word a token, each sign one."""
    pieces = re.findall(r"[^\W_]+|[^\w\s]|_", text)
    return sum(math.ceil(len(piece) / 3) for piece in pieces)


@pytest.mark.parametrize("days_ago", [0, 17, 200])
def test_gold_queries_give_rows_and_all_different_ones(tmp_path, days_ago):
    today = datetime.now(UTC).date() - timedelta(days=days_ago)
    connection = sqlite3.connect(build_database(tmp_path / "company.sqlite", today))
    results = {}
    for group, query in QUERIES.items():
        found = connection.execute(query.replace("'now'", f"'{today}'")).fetchall()
        assert len(found) >= 3, group
        results[group] = sorted(map(str, found))
    connection.close()
    assert len(results) >= 9
    assert len({str(found) for found in results.values()}) == len(results)


def test_the_database_is_the_same_for_the_same_day(tmp_path):
    day = date(2026, 3, 31)
    dumps = [
        "\n".join(sqlite3.connect(build_database(tmp_path / name, day)).iterdump())
        for name in ("one.sqlite", "two.sqlite")
    ]
    assert dumps[0] == dumps[1]


def test_the_company_has_some_hundreds_of_rows(database):
    connection = sqlite3.connect(database)
    tables = [
        name
        for (name,) in connection.execute(
            "select name from sqlite_master where sql like 'create table%'"
        )
    ]
    counts = {
        name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in tables
    }
    statuses = {status for (status,) in connection.execute("select status from sales_orders")}
    connection.close()
    assert len(counts) == 7 and 300 <= sum(counts.values()) <= 2000, counts
    assert statuses == {"Open", "On hold", "Closed", "Cancelled"}
    assert not {"orders", "customers", "products", "invoices"} & counts.keys()


@pytest.mark.parametrize("row", HELD_OUT, ids=lambda row: row["question"])
def test_checks_accept_gold_and_nothing_else(database, row):
    check = {**row["check"], "database": str(database)}
    assert judge(check, row["expected"], row["expected"])
    for group, other in GOLD.items():
        assert group == row["group"] or not judge(check, row["expected"], other), group
    general = next(item["answer"] for item in CORRECTIONS if item["group"] == row["group"])
    assert not judge(check, row["expected"], general)


def test_one_need_is_a_tone_and_one_is_strict_json():
    kinds = {row["group"]: row["check"]["type"] for row in HELD_OUT}
    assert {"sql", "json", "regex"} == set(kinds.values())
    tickets = [json.loads(GOLD[group]) for group, kind in kinds.items() if kind == "json"]
    assert len(tickets) >= 2
    assert all(list(ticket) == ["ticket", "team", "priority"] for ticket in tickets)


def test_general_questions_judge_and_are_named():
    assert len(GENERAL) == 40
    assert len({row["question"] for row in GENERAL}) == 40
    for row in GENERAL + ASKED:
        assert judge(row["check"], row["expected"], row["expected"]), row
        for gold in GOLD.values():
            assert not judge(row["check"], row["expected"], gold), row


def test_replay_and_sentinel_are_kept_apart_from_what_they_are_judged_by():
    replay = [row["question"] for row in REPLAY]
    assert 55 <= len(set(replay)) == len(replay)
    assert len(ASKED) == 60
    asked = [row["question"] for row in GENERAL + SENTINEL]
    assert len(set(asked)) == len(asked)
    assert not all_runs(replay) & all_runs(asked)
    assert not set(replay) & set(asked)


def test_there_are_two_documents_of_each_kind_and_twelve_in_all():
    kinds = Counter(path.suffix for path in DOCUMENTS)
    assert len(DOCUMENTS) >= 12
    assert all(kinds[suffix] >= 2 for suffix in (".md", ".html", ".pdf", ".docx")), kinds


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_are_readable_and_a_page_long(path):
    from knowledge.documents import read_document

    sections = read_document(path)
    words = sum(len(section.text.split()) for section in sections)
    assert words >= 170 and len(sections) >= 4, (words, len(sections))


def test_what_is_asked_of_the_documents_stands_in_them():
    from knowledge.documents import read_document

    for row in rows("documents_questions.jsonl"):
        sections = read_document(SAMPLE / "documents" / row["document"])
        text = " ".join(" ".join(section.text.split()) for section in sections)
        assert row["expected"] in text, row
        assert judge(row["check"], row["expected"], row["expected"]), row
