"""A person's conversations as typed; and that looking into one is on record."""

from contextlib import closing

import pytest

from storage.audit import list_audit
from storage.conversations import add_message, open_thread, start_conversation
from storage.database import open_database
from storage.datadir import open_datadir
from storage.users import create_user
from tests.assistant.command_line import refusal


@pytest.fixture
def talk(apprentice):
    """A conversation of ada's with two tries at its reply, and one of a visitor's."""
    with closing(open_database(open_datadir(apprentice.data).database)) as db:
        owner = f"user:{create_user(db, 'ada', 'hash', 'member').id}"
        known = start_conversation(db, 1, owner)
        asked = add_message(db, known.id, "user", "Where is the heron?").id
        first, second = (
            add_message(db, known.id, "assistant", text, parent_id=asked).id
            for text in ("In the reeds.", "On the roof.")
        )
        other = start_conversation(db, 1, "visitor:v1")
        add_message(db, other.id, "user", "Where is the owl?")
    return known.id, first, second


def test_a_persons_conversations_are_listed_and_searched(apprentice, talk):
    def found(*words):
        return [row["title"] for row in apprentice.rows("conversations", "list", *words)]

    assert found("ada") == found("user:1") == ["Where is the heron?"]
    assert found("visitor:v1") == ["Where is the owl?"]
    assert found("ada", "--holding", "roof") == ["Where is the heron?"]
    assert found("ada", "--holding", "owl") == found("visitor:v2") == []
    assert "There is no such conversation." in apprentice("conversations", "list", "visitor:v2")
    apprentice("conversations", "list", "bob", code=2)
    assert "bob" in refusal(apprentice)


def test_another_try_is_chosen_and_shown(apprentice, talk):
    known, first, second = talk
    (row,) = apprentice.rows("conversations", "show", known)
    assert row["messages"][-1]["content"] == "On the roof."
    assert row["messages"][-1]["other_tries"] == [first]
    apprentice("conversations", "choose", first)
    assert "In the reeds." in apprentice("conversations", "show", known)
    with closing(open_database(open_datadir(apprentice.data).database)) as db:
        assert open_thread(db, known)[-1].id == first
    apprentice("conversations", "choose", "never", code=2)
    assert "'never'" in refusal(apprentice)


def test_it_is_renamed(apprentice, talk):
    apprentice("conversations", "rename", talk[0], "Birds")
    assert [row["title"] for row in apprentice.rows("conversations", "list", "ada")] == ["Birds"]
    apprentice("conversations", "rename", talk[0], " ", code=2)
    assert "The name is empty" in refusal(apprentice)


def test_looking_into_them_is_on_record(apprentice, talk):
    apprentice("conversations", "list", "ada")
    apprentice("conversations", "show", talk[0])
    with closing(open_database(open_datadir(apprentice.data).database)) as db:
        acts = [(act.action, act.subject, act.actor[:4]) for act in list_audit(db, 2)]
    assert acts == [
        ("conversation read", f"conversation:{talk[0]}", "cli:"),
        ("conversations listed", "workspace:1", "cli:"),
    ]
