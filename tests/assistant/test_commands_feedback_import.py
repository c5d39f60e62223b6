"""Files of feedback: what is taken, what is refused, and that a file is taken whole or not."""

import pytest
from sqlite_utils import Database

from storage.conversations import message
from storage.errors import BadInput
from storage.feedback import list_feedback
from tests.assistant.command_line import refusal, run_verb, write_rows

GOOD = {"question": "Q1", "answer": "wrong", "correction": "right"}


@pytest.fixture
def load(apprentice, tmp_path):
    """Imports rows and gives the result; `load.typed` says what was printed."""

    def load(*rows, options=(), code=0):
        path = write_rows(tmp_path / "rows.jsonl", *rows)
        found = apprentice.rows("feedback", "import", path, *options, code=code)
        return found[0] if found else None

    load.typed = apprentice
    return load


def facts(typed, sql):
    with Database(typed.data / "apprentice.db") as db:
        return list(db.query(sql))


def test_row_becomes_a_conversation_with_feedback(load):
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    row = {
        "messages": [*history, {"role": "user", "content": "Q"}],
        "answer": "wrong",
        "correction": "right",
        "rating": -1,
        "reasons": ["outdated"],
        "comment": "see page 3",
        "contributor": "ann",
        "group": "g",
    }
    assert load(row)["imported"] == 1
    (found,) = load.typed.rows("feedback", "list")
    expected = {name: row[name] for name in row if name not in ("messages",)}
    assert {name: found[name] for name in expected} == expected
    assert (found["question"], found["origin"], found["status"]) == ("Q", "import", "new")
    (talk,) = facts(load.typed, "select owner, id from conversations")
    assert talk["owner"] == "import"
    said = facts(load.typed, "select role, content, finish_reason from messages order by rowid")
    assert [item["content"] for item in said] == ["Hi", "Hello", "Q", "wrong"]
    assert said[-1]["finish_reason"] == "imported"


def test_messages_may_end_with_the_answer(load):
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "wrong"}]
    load({"messages": messages, "correction": "right"})
    assert load.typed.rows("feedback", "list")[0]["answer"] == "wrong"


def test_importing_twice_adds_nothing(load):
    other = {**GOOD, "question": "Q2"}
    assert load(GOOD, other, GOOD)["imported"] == 2
    before = facts(load.typed, "select count(*) as n from messages")
    again = load(GOOD, other)
    assert (again["imported"], again["already_there"]) == (0, 2)
    assert facts(load.typed, "select count(*) as n from messages") == before


def test_other_workspace_has_rows_of_its_own(load):
    load(GOOD)
    load.typed("workspaces", "create", "sales")
    assert load(GOOD, options=("--workspace", "sales"))["imported"] == 1


def test_approve_approves_rows_with_a_correction_or_a_thumb(load):
    liked = {"question": "Q2", "answer": "fine", "rating": 1}
    remark = {"question": "Q3", "answer": "fine", "comment": "hm"}
    assert load(GOOD, liked, remark, options=("--approve",))["approved"] == 2
    assert [row["status"] for row in load.typed.rows("feedback", "list")] == [
        *("new", "approved", "approved")
    ]
    # and, asked for later, those that were imported without it
    load({**GOOD, "question": "Q3"})
    assert load({**GOOD, "question": "Q3"}, options=("--approve",))["approved"] == 1


def test_approve_does_not_bring_back_what_a_reviewer_rejected(load):
    load(GOOD)
    load.typed("feedback", "reject", "1")
    assert load(GOOD, options=("--approve",))["approved"] == 0
    assert load.typed.rows("feedback", "list")[0]["status"] == "rejected"


BAD = [
    ("not json", "not JSON"),
    ("[1]", "not a JSON object"),
    ("[" * 100_000, "not JSON"),
    ({"answer": "a", "correction": "b"}, "neither a question nor messages"),
    ({**GOOD, "messages": []}, "both question and messages"),
    ({"messages": [], "correction": "b"}, "no list"),
    ({"messages": [{"role": "user"}], "correction": "b"}, "with text"),
    ({"messages": [{"role": "tool", "content": "x"}], "correction": "b"}, "{role, content}"),
    ({"messages": [{"role": "system", "content": "x"}], "correction": "b"}, "question of the user"),
    ({**GOOD, "question": "  "}, "question is empty"),
    ({**GOOD, "question": 5}, "not a text"),
    ({**GOOD, "rating": 2}, "neither 1 nor -1"),
    ({**GOOD, "rating": True}, "neither 1 nor -1"),
    ({**GOOD, "rating": float("nan")}, "rating is NaN"),
    ({**GOOD, "reasons": "slow"}, "not a list of texts"),
    ({**GOOD, "passages": [1]}, "not a list of texts"),
    ({"question": "Q", "answer": "A"}, "judges nothing"),
    ({"question": "Q", "rating": 1}, "does not give"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_bad_line_is_named_by_number_and_nothing_is_taken(load, row, reason):
    load(GOOD, "", row, {**GOOD, "question": "Q2"}, code=2)
    said = refusal(load.typed)
    assert "line 3" in said and reason in said and "Nothing was taken" in said
    assert load.typed.rows("feedback", "list") == []


def test_every_bad_line_is_counted(load):
    load(*(["nope"] * 8), code=2)
    assert "line 5" in refusal(load.typed) and "3 more" in load.typed.said


def test_skip_bad_takes_the_rest_and_says_what_it_left(load):
    found = load(GOOD, "nope", options=("--skip-bad",))
    assert (found["imported"], found["skipped"], found["rows"]) == (1, 1, 2)
    assert "warning: line 2" in load.typed.said


def test_unknown_fields_are_named(load):
    assert load({**GOOD, "colour": "red"})["imported"] == 1
    assert "'colour' (1 rows)" in load.typed.said
    load({**GOOD, "question": "Q2", "colour": "red"}, options=("--strict",), code=2)
    assert "line 1" in refusal(load.typed) and "colour" in load.typed.said


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"\xff\xfe\x00", "UTF-8"), (b"\n\n", "no row")],
)
def test_file_that_cannot_be_used(apprentice, tmp_path, content, reason):
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    apprentice("feedback", "import", path, code=2)
    assert reason in refusal(apprentice) and str(path) in apprentice.said


def test_passages_that_a_row_brings_are_kept_and_marked(load):
    load({**GOOD, "passages": ["Returns take 30 days."]}, {**GOOD, "question": "Q2"})
    found = facts(
        load.typed,
        "select engine, json_extract(inputs, '$.passages[0].text') as text from messages"
        " where role = 'assistant' order by rowid",
    )
    assert found == [
        {"engine": "import", "text": "Returns take 30 days."},
        {"engine": "import, passages retrieved then", "text": None},
    ]


def test_line_separators_inside_a_text_do_not_break_the_line(load):
    row = '{"question": "a\u2028b\x85c", "answer": "wrong", "correction": "right"}'
    assert load(row)["imported"] == 1


def import_rows(app, path, *rows, **options):
    write_rows(path, *rows)
    return run_verb(app, "feedback import", workspace="default", file=str(path), **options)[0][0]


def test_where_no_answer_is_given_the_assistant_is_asked(app, tmp_path):
    run_verb(app, "workspaces set", name="default", values=["max_tokens=8"])
    rows = [{"question": "Q1", "correction": "right"}, {**GOOD, "question": "Q2"}]
    assert import_rows(app, tmp_path / "rows.jsonl", *rows, ask=True)["imported"] == 2
    with app.db() as db:
        asked, given = sorted(list_feedback(db, 1), key=lambda item: item.question)
        reply = message(db, asked.message_id)
        owners = {row["owner"] for row in db["conversations"].rows}
    assert asked.answer and asked.answer == reply.content and reply.sent_ids
    assert given.answer == "wrong" and owners == {"import"}


def test_question_that_cannot_be_asked_leaves_nothing_behind(app, tmp_path):
    run_verb(app, "workspaces set", name="default", values=["max_tokens=8"])
    rows = [{"question": "Q1", "correction": "right"}, {"question": "x " * 5000, "rating": 1}]
    path = tmp_path / "rows.jsonl"
    with pytest.raises(BadInput, match="x x x.*shorten it"):
        import_rows(app, path, *rows, ask=True)
    with app.db() as db:
        assert db["feedback"].count == db["conversations"].count == 0
    found = import_rows(app, path, *rows, ask=True, skip_bad=True)
    assert (found["imported"], found["skipped"]) == (1, 1)


def test_row_without_passages_gets_those_that_service_would_show(app, tmp_path):
    (tmp_path / "returns.md").write_text("Goods may be returned within 30 days.")
    run_verb(app, "ingest", workspace="default", paths=[str(tmp_path / "returns.md")])
    row = {"question": "When may goods be returned?", "correction": "Within 30 days."}
    import_rows(app, tmp_path / "rows.jsonl", row)
    with app.db() as db:
        reply = message(db, list_feedback(db, 1)[0].message_id)
    assert [passage.document for passage in reply.inputs.passages] == ["returns.md"]
    assert reply.engine == "import, passages retrieved then"
