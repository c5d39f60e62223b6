"""A workspace that answers from its documents says so where they are silent."""

from contextlib import closing

import pytest

from assistant.declining import SILENT
from assistant.reply import Delta, ReplyOptions, reply
from storage.conversations import message, start_conversation
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb
from tests.assistant.taught import teach

SAID = "Our documents do not say."


@pytest.fixture
def desk(app, workspace, tmp_path):
    """The workspace with two short documents, which answers from them alone."""
    for name, text in (
        ("returns", "Goods may be returned within 30 days of delivery."),
        ("hours", "The shop is open from Tuesday to Saturday."),
    ):
        (tmp_path / f"{name}.md").write_text(f"# {name.title()}\n\n{text}")
    paths = [str(tmp_path / f"{name}.md") for name in ("returns", "hours")]
    run_verb(app, "ingest", workspace="default", paths=paths)
    with closing(app.db()) as db:
        return set_workspace(db, "default", "decline", f" {SAID} ")


def ask(app, workspace, question, **options):
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli").id
    options = ReplyOptions(max_tokens=4, **options)
    *said, done = reply(app, workspace, conversation, "cli", question, options=options)
    with closing(app.db()) as db:
        saved = message(db, done.message.id)
    return "".join(piece.text for piece in said if isinstance(piece, Delta)), saved, done.notices


def test_what_the_documents_do_not_say_is_said_without_a_model(app, desk):
    text, saved, notices = ask(app, desk, "Which language is spoken in Brazil?")
    assert text == saved.content
    said, nearest = text.split("\n\n")
    assert said == SAID
    assert nearest.startswith("Nearest: ") and nearest.count(".md") == 2
    assert (saved.declined, saved.engine, saved.sent_ids) == (True, None, ())
    assert saved.finish_reason == "stop"
    assert 0 <= saved.relevance < desk.settings.relevance_floor
    assert notices == ()
    assert not app.has("engine")


def test_what_they_say_is_answered_from_them(app, desk):
    _, saved, notices = ask(app, desk, "Within how many days may goods be returned?")
    assert not saved.declined and saved.engine == "llamacpp"
    assert [passage.document for passage in saved.inputs.passages] == ["returns.md"]
    assert saved.relevance >= desk.settings.relevance_floor
    assert SILENT not in notices


@pytest.mark.parametrize("question", ["Hello!", "Thank you very much.", "Who are you?"])
def test_talk_is_no_question_to_the_documents(app, desk, question):
    assert not ask(app, desk, question)[1].declined


def test_what_a_person_approved_an_answer_to_is_not_declined(app, desk):
    question = "Which orders are closed at the moment?"
    assert ask(app, desk, question)[1].declined
    teach(app, desk)
    assert not ask(app, desk, question)[1].declined


def test_where_nothing_is_declined_the_model_answers_and_it_is_said(app, desk):
    with closing(app.db()) as db:
        free = set_workspace(db, "default", "decline", "")
    _, saved, notices = ask(app, free, "Which language is spoken in Brazil?")
    assert (saved.declined, saved.engine) == (False, "llamacpp")
    assert SILENT in notices


def test_documents_that_are_not_asked_decline_nothing(app, desk):
    _, saved, notices = ask(app, desk, "Which language is spoken in Brazil?", use_documents=False)
    assert (saved.declined, saved.relevance) == (False, None)
    assert SILENT not in notices


def test_in_a_strict_format_nothing_is_added_to_what_is_said(app, desk):
    with closing(app.db()) as db:
        set_workspace(db, "default", "checks", '[{"type": "json"}]')
        strict = set_workspace(db, "default", "decline", '{"known": false}')
    text, saved, notices = ask(app, strict, "Which language is spoken in Brazil?")
    assert (text, saved.declined, notices) == ('{"known": false}', True, ())


def test_without_documents_nothing_is_declined(app, workspace):
    with closing(app.db()) as db:
        empty = set_workspace(db, "default", "decline", SAID)
    assert not ask(app, empty, "Which language is spoken in Brazil?")[1].declined
