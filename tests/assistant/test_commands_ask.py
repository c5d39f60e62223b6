"""Questions as typed: one, or a file of them at once."""

import threading

import pytest

from assistant.commands.ask import chosen
from assistant.verbs import run_here
from storage.conversations import messages_of
from storage.errors import BadInput, NotFound
from tests.assistant.command_line import run_verb, write_rows

KEYS = {
    "question",
    "answer",
    "sources",
    "override",
    "adapter",
    "base_model",
    "engine",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "latency_ms",
    "ttft_ms",
}


def ask(app, **arguments):
    """(results, exit code) of `ask` in the default workspace, eight tokens an answer."""
    return run_verb(app, "ask", **{"workspace": "default", "max_tokens": 8, **arguments})


@pytest.fixture
def corrected(app, tmp_path):
    """A question whose approved correction is served."""
    row = {"question": "Who are you?", "answer": "Nobody.", "correction": "The quay desk."}
    path = write_rows(tmp_path / "rows.jsonl", row)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    return row


def test_answer_has_what_the_contract_says(app):
    (answer,), code = ask(app, question="List the orders.")
    assert code == 0 and answer.keys() >= KEYS
    assert answer["question"] == "List the orders."
    assert answer["engine"] == "llamacpp" and answer["finish_reason"] == "length"
    assert answer["completion_tokens"] == 8 and answer["prompt_tokens"] > 3
    assert (answer["override"], answer["adapter"], answer["sources"]) == (None, None, [])


def test_pieces_make_up_the_answer(app):
    asked = {"workspace": "default", "question": "List the orders.", "max_tokens": 8}
    events = list(run_here(app, "ask", asked))
    pieces = [event["delta"] for event in events[:-1]]
    assert "".join(pieces).strip() == events[-1]["answer"] and len(pieces) > 1


def test_approved_correction_answers_unless_told_not_to(app, corrected):
    (answer,), _ = ask(app, question="who are you")
    assert answer["answer"] == corrected["correction"] and answer["override"] is not None
    (answer,), _ = ask(app, question="who are you", no_overrides=True)
    assert answer["answer"] != corrected["correction"] and answer["override"] is None


def test_batch_keeps_order_and_ids(app, corrected, tmp_path):
    rows = [{"question": f"Question {n}", "id": f"q{n}"} for n in range(9)]
    rows.insert(4, {"question": corrected["question"]})  # answered at once: it must not overtake
    path = write_rows(tmp_path / "questions.jsonl", *rows)
    answers, code = ask(app, file=str(path))
    assert code == 0
    assert [answer["question"] for answer in answers] == [row["question"] for row in rows]
    assert [answer.get("id") for answer in answers] == [row.get("id") for row in rows]


def test_question_that_is_too_long_fails_alone(app, tmp_path):
    path = write_rows(
        tmp_path / "q.jsonl", {"question": "x " * 5000, "id": 1}, {"question": "y", "id": 2}
    )
    answers, code = ask(app, file=str(path))
    assert code == 1
    assert "shorten it" in answers[0]["error"] and answers[0]["id"] == 1
    assert answers[1]["answer"] and answers[1]["id"] == 2


def test_messages_bring_history_and_more_instructions(app, tmp_path):
    run_verb(app, "workspaces set", name="default", values=["instructions=Be brief."])
    messages = [
        {"role": "system", "content": "Answer in SQL."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "List the orders."},
    ]
    path = write_rows(tmp_path / "q.jsonl", {"messages": messages})
    (answer,), _ = ask(app, file=str(path))
    with app.db() as db:
        said = messages_of(db, answer["conversation"])
    assert [item.content for item in said[:3]] == ["Hello", "Hello!", "List the orders."]
    inputs = said[-1].inputs
    assert inputs.instructions == "Be brief.\n\nAnswer in SQL."
    assert [item["content"] for item in inputs.history] == ["Hello", "Hello!"]


def test_caller_that_leaves_a_batch_stops_the_engine(app, tmp_path):
    """Twelve answers of 300 tokens; after the first progress the caller goes."""
    path = write_rows(tmp_path / "q.jsonl", *({"question": f"Q{n}"} for n in range(12)))
    asked = {"workspace": "default", "file": str(path), "max_tokens": 300}
    events = run_here(app, "ask", asked)
    assert "progress" in next(events)
    events.close()
    assert not [item for item in threading.enumerate() if item.name.startswith("ask")]
    with app.db() as db:
        reasons = [
            row["finish_reason"]
            for row in db.query("select finish_reason from messages where role = 'assistant'")
        ]
    assert len(reasons) < 12 and None not in reasons


@pytest.mark.parametrize(
    ("arguments", "kind", "named"),
    [
        ({}, BadInput, "--file"),
        ({"question": "a", "file": "b"}, BadInput, "--file"),
        ({"question": "  "}, BadInput, "empty"),
        ({"question": "a", "adapter": "seven"}, BadInput, "seven"),
        ({"question": "a", "adapter": "7"}, NotFound, "7"),
        ({"question": "a", "workspace": "nowhere"}, NotFound, "nowhere"),
        ({"file": "/no/such/file"}, BadInput, "/no/such/file"),
    ],
)
def test_refusals_name_the_value(app, arguments, kind, named):
    with pytest.raises(kind, match=named):
        ask(app, **arguments)


@pytest.mark.parametrize("row", [{"id": 1}, {"question": ""}, {"messages": [{"role": "user"}]}])
def test_bad_line_is_named_and_nothing_is_asked(app, tmp_path, row):
    path = write_rows(tmp_path / "q.jsonl", {"question": "Q"}, row)
    with pytest.raises(BadInput, match="line 2"):
        ask(app, file=str(path))
    with app.db() as db:
        assert db["messages"].count == 0


@pytest.mark.parametrize(("typed", "means"), [(None, "serving"), ("base", "base"), ("12", 12)])
def test_adapter_option(typed, means):
    assert chosen(typed) == means
