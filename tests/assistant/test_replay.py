"""What a round holds in place: the base's own words on what nobody corrected."""

from contextlib import closing

import pytest

from assistant.answering import ChildAnswerer
from assistant.lessons import sentinel_cases
from assistant.opponents import Watch
from assistant.prompt import build_messages
from assistant.replay import (
    READINGS,
    REPLAY_TOKENS,
    first_question,
    ordinary_questions,
    readings,
    replay_count,
    replay_row,
    replay_rows,
)
from storage.records import Inputs
from storage.rounds import create_round
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb
from tuning.sentinel import read_items

PAGES = {
    "returns.md": "# Returns\n\nUnused goods can come back within 45 days.",
    "ropes.md": "# Ropes\n\nA mooring line for a boat of nine metres is 12 mm thick.",
}


@pytest.fixture
def documents(app, workspace, tmp_path):
    """The workspace with two pages."""
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
        run_verb(app, "ingest", workspace="default", paths=[str(tmp_path / name)])
    return workspace


def test_a_question_to_the_documents_has_the_passages_that_service_shows(app, documents):
    asked = "Within how many days can unused goods come back?"
    with closing(app.db()) as db:
        (found,) = readings(app, db, documents, [asked])
    assert found.passages[0].document == "returns.md" and "45 days" in found.passages[0].text
    (reply,), _ = run_verb(app, "ask", workspace="default", question=asked, max_tokens=2)
    assert [item["text"] for item in reply["sources"]] == [item.text for item in found.passages]


def test_a_question_without_a_passage_is_left_out(app, documents):
    with closing(app.db()) as db:
        silent = set_workspace(db, "default", "passage_tokens", "0")
        assert readings(app, db, silent, ["How thick is a mooring line?"]) == []


@pytest.fixture
def told():
    """What the round under way has said of its progress."""
    return []


@pytest.fixture
def child(app, tmp_path):
    with ChildAnswerer(app.base, app.settings, tmp_path / "log") as child:
        yield child


def rows_of(app, db, workspace, child, told):
    queued = create_round(
        db, workspace.id, config={}, base_fingerprint=app.base.fingerprint, examples=[]
    )
    watch = Watch(db, queued, lambda share, note: told.append((share, note)))
    return replay_rows(app, db, workspace, child, watch, seed=1)


def test_rows_hold_what_the_base_says(app, documents, child, told):
    with closing(app.db()) as db:
        rows = rows_of(app, db, documents, child, told)
    again = child.answer([rows[0].prompt_ids], adapter=None, max_tokens=REPLAY_TOKENS)
    assert {row.kind for row in rows} == {"replay"}
    assert rows[0].completion == again[0]
    inputs = Inputs(ordinary_questions()[0], documents.instructions, documents.instructions_version)
    assert list(rows[0].messages) == build_messages(inputs)
    assert {note for _, note in told} == {"reading the documents", "asking the base model"}
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] == pytest.approx(0.03)


def test_what_does_not_fit_the_context_is_left_out(app, documents, child, told):
    with closing(app.db()) as db:
        wordy = set_workspace(db, "default", "instructions", "Be exact. " * 200)
        assert rows_of(app, db, wordy, child, told) == []


def test_there_are_as_many_readings_as_chunks_at_most(app, documents):
    with closing(app.db()) as db:
        assert replay_count(db, documents) == len(ordinary_questions()) + 2
    assert READINGS > 2


@pytest.mark.parametrize(("most", "ends"), [(100, True), (6, False)])
def test_an_answer_that_was_cut_off_has_no_end(app, workspace, most, ends):
    messages = build_messages(Inputs("Hello!", workspace.instructions, 1))
    row = replay_row(app, 0, messages, "How do I return a product?", most)
    assert (row.completion_ids[-1] in app.tokenizer.end_ids) is ends
    assert row.kind == "replay"


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("What does a day ticket cost?", "What does a day ticket cost?"),
        (" When? And where?", "When?"),
        ("A fantastic story!", ""),
        ("", ""),
    ],
)
def test_only_a_question_is_a_question(said, question):
    assert first_question(said) == question


def test_general_questions_are_apart_from_replayed_ones(app, workspace):
    asked = {case.messages[-1]["content"] for case in sentinel_cases(app, workspace)}
    scored = {item.question for item in read_items()}
    replayed = set(ordinary_questions())
    assert len(asked) == 60 and len(replayed) >= 50
    assert asked < scored and not scored & replayed
