"""The feedback queue as typed, and what is exported for other trainers."""

import json
import sqlite3
import stat
from contextlib import closing

import pytest
from sqlite_utils import Database

from storage.audit import list_audit
from tests.assistant.command_line import refusal, write_rows

CORRECTED = {
    "question": "List the closed orders.",
    "answer": "SELECT * FROM orders;",
    "correction": "SELECT * FROM sales_orders;",
    "group": "closed orders",
}
TAUGHT = {"question": "Who are we?", "correction": "Quay Ltd."}
LIKED = {"question": "Say hello.", "answer": "Hello!", "rating": 1}
DISLIKED = {"question": "Say goodbye.", "answer": "No.", "rating": -1}


@pytest.fixture
def queue(apprentice, tmp_path):
    """Four rows of feedback, numbered from 1."""
    rows = write_rows(tmp_path / "rows.jsonl", CORRECTED, TAUGHT, LIKED, DISLIKED)
    apprentice("feedback", "import", rows)
    return apprentice


def test_newest_first_and_filtered_by_status(queue):
    assert [row["id"] for row in queue.rows("feedback", "list")] == [4, 3, 2, 1]
    assert [row["id"] for row in queue.rows("feedback", "list", "--limit", "1")] == [4]
    queue("feedback", "reject", "4")
    rejected = queue.rows("feedback", "list", "--status", "rejected")
    assert [row["id"] for row in rejected] == [4]
    assert rejected[0]["reviewer"].startswith("cli:")


def test_a_reviewers_reasons_are_set_taken_away_and_filtered_by(queue):
    queue("feedback", "set", "3", "4", "--reason", "wrong_tone", "--reason", "Incomplete")
    rows = queue.rows("feedback", "list", "--reason", "wrong_tone")
    assert [row["id"] for row in rows] == [4, 3]
    assert rows[0]["review_reasons"] == ["Wrong tone", "Incomplete"]
    assert rows[0]["reasons"] == []
    queue("feedback", "set", "4", "--none")
    assert [row["id"] for row in queue.rows("feedback", "list", "--reason", "Incomplete")] == [3]
    for words in (["--reason", "rude"], [], ["--reason", "wrong", "--none"]):
        queue("feedback", "set", "3", *words, code=2)
        assert "reason" in refusal(queue)


def test_words_are_found_in_question_answer_and_correction_and_with_the_other_filters(queue):
    def found(*words):
        return [row["id"] for row in queue.rows("feedback", "list", *words)]

    assert found("--search", "hello") == [3]
    assert found("--search", "SALES_orders closed") == [1]
    assert found("--search", "say") == [4, 3]
    assert found("--search", "say", "--limit", "1") == [4]
    queue("feedback", "reject", "4")
    assert found("--search", "say", "--status", "rejected") == [4]
    assert found("--search", "say goodnight") == []
    queue("feedback", "list", "--search", " ", code=2)
    assert "--search" in refusal(queue)


def test_approved_correction_becomes_an_override(queue):
    queue("feedback", "approve", "1", "2")
    found = queue.rows("overrides", "list")
    assert {row["answer"] for row in found} == {CORRECTED["correction"], TAUGHT["correction"]}


def test_edited_correction_keeps_the_original(queue):
    queue("feedback", "approve", "1", "--correction", "SELECT 1;", "--group", "ones")
    (row,) = queue.rows("feedback", "list", "--status", "approved")
    assert (row["approved_correction"], row["correction"], row["group"]) == (
        "SELECT 1;",
        CORRECTED["correction"],
        "ones",
    )


def test_a_drafted_request_is_worded_anew(queue):
    (row,) = queue.rows("feedback", "approve", "2", "--question", " Who runs the quay? ")
    assert row["group"] == "who runs the quay"
    (row,) = queue.rows("feedback", "list", "--status", "approved")
    assert row["question"] == "Who runs the quay?"
    assert queue.rows("overrides", "list")[0]["question"] == "Who runs the quay?"


def test_a_question_that_was_asked_stands(queue):
    queue("feedback", "approve", "1", "--question", "List them all.", code=2)
    assert "stands as it was asked" in refusal(queue)
    assert queue.rows("feedback", "list", "--status", "approved") == []


def test_a_refused_approval_leaves_the_question(queue, shop):
    queue("feedback", "reject", "2")
    failing = ("--correction", "SELECT nothing FROM orders;", "--question", "Who?")
    queue("feedback", "approve", "2", *failing, code=2)
    assert "no column" in refusal(queue)
    assert queue.rows("feedback", "show", "2")[0]["question"] == "Who are we?"


def test_approving_several_is_all_or_none(queue):
    queue("feedback", "approve", "1", "99", code=2)
    assert "99" in refusal(queue)
    assert queue.rows("feedback", "list", "--status", "approved") == []


def test_other_workspaces_feedback_is_not_there(queue):
    queue("workspaces", "create", "sales")
    for verb in ("approve", "reject"):
        queue("feedback", verb, "1", "--workspace", "sales", code=2)
        assert "sales" in refusal(queue)
    assert queue.rows("feedback", "list", "--status", "new", "--workspace", "sales") == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("approve", "99"), "99"),
        (("approve", "1", "2", "--correction", "x"), "2"),
        (("approve", "1", "2", "--question", "x"), "2"),
        (("approve", "2", "--question", " "), "0 characters"),
        (("show", "99"), "99"),
        (("list", "--status", "odd"), "odd"),
        (("list", "--workspace", "nowhere"), "nowhere"),
        (("export", "--to", "/no/such/folder/x.jsonl"), "/no/such/folder"),
    ],
)
def test_refusals_name_the_value(queue, words, named):
    queue("feedback", *words, code=2)
    assert named in refusal(queue)


@pytest.fixture
def shop(queue, tmp_path):
    """The queue in a workspace whose SQL is checked: the first correction fails."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders as select 1 as id, 'Closed' as status")
        connection.commit()
    checks = json.dumps([{"type": "sql", "database": str(path)}])
    queue("workspaces", "set", "default", f"checks={checks}")
    return path


def test_a_correction_that_fails_its_check_is_not_approved(queue, shop):
    queue("feedback", "approve", "1", "2", code=2)
    assert "no table 'sales_orders'" in refusal(queue) and "--despite-check" in queue.said
    assert queue.rows("feedback", "list", "--status", "approved") == []
    queue("feedback", "approve", "1", "--despite-check", " ", code=2)
    queue("feedback", "approve", "1", "--correction", "DELETE FROM orders", code=2)
    assert "DELETE" in refusal(queue)
    queue("feedback", "approve", "1", "--correction", "SELECT id FROM orders;")
    assert queue.rows("feedback", "list", "--status", "approved")[0]["id"] == 1


def test_an_override_of_the_check_keeps_its_reason(queue, shop):
    queue("feedback", "approve", "1", "--despite-check", "the table comes next week")
    with Database(queue.data / "apprentice.db") as db:
        act = list_audit(db, 1)[0]
    assert (act.action, act.subject) == ("feedback approved", "feedback:1")
    assert act.detail["despite_check"] == "the table comes next week"
    assert act.actor.startswith("cli:")


def test_a_check_that_is_passed_needs_no_reason(queue, shop):
    queue("feedback", "approve", "2", "--despite-check", "not needed")
    with Database(queue.data / "apprentice.db") as db:
        assert "despite_check" not in list_audit(db, 1)[0].detail


def test_the_check_follows_the_clients_database(queue, shop):
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute("alter table orders rename to sales_orders")
        connection.commit()
    before = shop.read_bytes()
    queue("feedback", "approve", "1")
    assert shop.read_bytes() == before


def test_rows_that_fail_their_check_stay_new_when_a_file_is_approved(queue, shop, tmp_path):
    good = {"question": "Which ids?", "correction": "SELECT id FROM orders;"}
    bad = {"question": "Which names?", "correction": "SELECT name FROM orders;"}
    path = write_rows(tmp_path / "more.jsonl", good, bad, TAUGHT)
    (found,) = queue.rows("feedback", "import", path, "--approve")
    assert (found["imported"], found["approved"]) == (2, 2)
    assert "'Which names?') stays new" in queue.said and "no column 'name'" in queue.said
    assert "Which names?" in {
        row["question"] for row in queue.rows("feedback", "list", "--status", "new")
    }


def test_approving_says_what_else_answers_the_question(queue, tmp_path):
    rows = [{**CORRECTED, "correction": text} for text in ("SELECT 1;", "SELECT 2;", "SELECT 1;")]
    queue("feedback", "import", write_rows(tmp_path / "same.jsonl", *rows[:2]))
    queue("feedback", "approve", "5")
    (found,) = queue.rows("feedback", "show", "6")
    assert [one["feedback_id"] for one in found["contradicts"]] == [5]
    (found,) = queue.rows("feedback", "approve", "6")
    assert found["contradicts"] == [5] and "corrected differently on" in queue.said
    again = {**rows[1], "comment": "said twice"}
    queue("feedback", "import", write_rows(tmp_path / "again.jsonl", again), "--approve")
    assert "the same as feedback 6" in queue.said
    assert [row["same_as"] for row in queue.rows("feedback", "list")] == [6, *[None] * 6]
    assert len(queue.rows("feedback", "export")) == 1


def said(text):
    return [{"role": "assistant", "content": text}]


def asked(text):
    return [{"role": "user", "content": text}]


def test_preference_rows_have_both_sides(queue):
    queue("feedback", "approve", "1", "2")
    assert queue.rows("feedback", "export") == [
        {
            "prompt": asked(CORRECTED["question"]),
            "chosen": said(CORRECTED["correction"]),
            "rejected": said(CORRECTED["answer"]),
        }
    ]
    assert "1 correction" in queue.said


def test_prompt_completion_rows_need_no_wrong_answer(queue):
    queue("feedback", "approve", "1", "2")
    rows = queue.rows("feedback", "export", "--format", "prompt-completion")
    assert rows[1] == {"prompt": asked("Who are we?"), "completion": said("Quay Ltd.")}
    assert len(rows) == 2


def test_approved_thumb_answers_nothing(queue):
    said = queue("feedback", "approve", "3")
    assert "the next round may learn from the thumb" in said
    (row,) = queue.rows("feedback", "list", "--status", "approved")
    assert (row["id"], row["rating"], row["approved_correction"]) == (3, 1, None)
    assert queue.rows("overrides", "list") == []


def test_unpaired_rows_have_a_label_and_are_approved(queue):
    queue("feedback", "approve", "1", "3")
    rows = queue.rows("feedback", "export", "--format", "unpaired")
    assert [(row["completion"][0]["content"], row["label"]) for row in rows] == [
        (CORRECTED["correction"], True),
        (CORRECTED["answer"], False),
        ("Hello!", True),
    ]
    assert "1 thumbs wait for a reviewer" in queue.said


def test_a_thumb_down_is_labelled_so(queue):
    queue("feedback", "approve", "4")
    assert queue.rows("feedback", "export", "--format", "unpaired") == [
        {"prompt": asked("Say goodbye."), "completion": said("No."), "label": False}
    ]


def test_export_to_a_new_private_file(queue, tmp_path):
    queue("feedback", "approve", "1")
    path = tmp_path / "pairs.jsonl"
    queue("feedback", "export", "--to", path)
    assert json.loads(path.read_text())["chosen"] == said(CORRECTED["correction"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    queue("feedback", "export", "--to", path, code=2)
    assert str(path) in refusal(queue)


def test_retired_override_answers_no_more(queue):
    queue("feedback", "approve", "1")
    queue("overrides", "retire", "1")
    assert queue.rows("overrides", "list") == []
    queue("overrides", "retire", "99", code=2)
    assert "99" in refusal(queue)


def test_two_reviewers_at_the_terminal(queue, monkeypatch):
    queue("workspaces", "set", "default", "two_reviewers=true")
    monkeypatch.setenv("LOGNAME", "ann")
    said = queue("feedback", "approve", "1", "3")
    assert "Feedback 1 has a first yes and waits for a second reviewer." in said
    (row,) = queue.rows("feedback", "show", "1")
    assert (row["status"], row["approved_by"]) == ("new", ["cli:ann"])
    assert queue.rows("overrides", "list") == queue.rows("feedback", "export") == []
    assert "2 with a first yes wait for a second reviewer" in queue.said
    assert [one["id"] for one in queue.rows("feedback", "list", "--half")] == [3, 1]
    assert [one["id"] for one in queue.rows("feedback", "list", "--mine")] == [4, 2]
    queue("feedback", "retract", "3")
    queue("feedback", "retract", "1", "3", code=2)
    assert "no first yes of yours on feedback 3" in refusal(queue)
    assert [one["id"] for one in queue.rows("feedback", "list", "--half")] == [1], "all or none"
    monkeypatch.setenv("LOGNAME", "ben")
    assert [one["id"] for one in queue.rows("feedback", "list", "--mine")] == [4, 3, 2, 1]
    queue("feedback", "approve", "1", "--seen", "0" * 16, code=2)
    assert "got a first yes from cli:ann meanwhile" in refusal(queue)
    queue("feedback", "approve", "1", "2", "--seen", row["mark"], code=2)
    (done,) = queue.rows("feedback", "approve", "1", "--seen", row["mark"])
    assert (done["status"], done["first_reviewer"]) == ("approved", "cli:ann")
    assert [one["chosen"][0]["content"] for one in queue.rows("feedback", "export")] == [
        CORRECTED["correction"]
    ]
    queue("feedback", "reject", "1", "--seen", row["mark"], code=2)
    assert "was approved by cli:ben meanwhile" in refusal(queue)
