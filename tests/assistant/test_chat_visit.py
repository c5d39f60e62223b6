"""The door of every chat event: the whole matrix of callers, workspaces and conversations."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.chat_visit import View, message_at, own_conversation, own_reply, view_of, visit
from assistant.chat_words import ENGLISH
from storage.conversations import add_message, start_conversation
from storage.errors import NotFound
from storage.workspaces import workspace

MAY_CHAT = {
    "open": {"visitor", "other visitor", "ada", "rita", "vic", "mo", "nell"},
    "team": {"ada", "rita", "mo"},
    "site": set(),
    "default": {"ada", "rita"},
    "no such workspace": set(),
}


def told(app, caller, name) -> str | None:
    """The message that this caller gets in that workspace, None when they come in."""
    try:
        with visit(app, caller.request(), name) as found:
            assert found.workspace.name == name
            assert found.person == caller.person
    except gr.Error as error:
        return error.message
    return None


@pytest.mark.parametrize("name", sorted(MAY_CHAT))
def test_who_comes_in(app, people, name):
    assert {who for who, one in people.items() if told(app, one, name) is None} == MAY_CHAT[name]


def test_a_workspace_one_may_not_use_is_as_one_that_is_not(app, people):
    for who in ("visitor", "nell", "anonymous"):
        assert told(app, people[who], "team") == told(app, people[who], "nothing of this name")


def test_without_a_cookie_nothing_can_be_kept_and_so_nothing_begins(app, people):
    assert "cookie" in told(app, people["anonymous"], "open")


def test_before_anything_is_drawn_the_address_says_what_is_open(people):
    request = people["mo"].request(workspace="team", conversation="abc")
    assert view_of(View(), request) == View("team", "abc")
    assert view_of(View("open"), request) == View("open")
    assert view_of(View(), people["mo"].request()) == View()


def test_a_conversation_is_only_its_owners(app, people):
    with closing(app.db()) as db:
        team = workspace(db, "team")
        owner = people["mo"]
        said = start_conversation(db, team.id, owner.person.owner)
        asked = add_message(db, said.id, "user", "Secret?")
        answer = add_message(db, said.id, "assistant", "Yes.", parent_id=asked.id)
    for who in MAY_CHAT["team"]:
        with visit(app, people[who].request(), "team") as caller:
            if who == "mo":
                assert own_conversation(caller, said.id).id == said.id
                assert own_reply(caller, answer.id).content == "Yes."
                continue
            for ask, id in ((own_conversation, said.id), (own_reply, answer.id)):
                with pytest.raises(NotFound) as refused:
                    ask(caller, id)
                with pytest.raises(NotFound) as missing:
                    ask(caller, "0" * 32)
                assert str(refused.value) == str(missing.value)


def test_a_conversation_of_another_workspace_is_not_here(app, people):
    with closing(app.db()) as db:
        said = start_conversation(db, workspace(db, "team").id, people["mo"].person.owner)
    with visit(app, people["mo"].request(), "open") as caller, pytest.raises(NotFound):
        own_conversation(caller, said.id)


def test_a_question_is_no_reply(app, people):
    with closing(app.db()) as db:
        said = start_conversation(db, workspace(db, "open").id, people["mo"].person.owner)
        asked = add_message(db, said.id, "user", "How?")
    with visit(app, people["mo"].request(), "open") as caller, pytest.raises(NotFound):
        own_reply(caller, asked.id)


def test_an_event_names_a_position_and_the_view_knows_the_message():
    view = View(ids=("q1", "a1"))
    assert message_at(view, 1, ENGLISH) == "a1"
    assert message_at(view, [1, 0], ENGLISH) == "a1"
    for index in (2, -1, 99999):
        with pytest.raises(gr.Error, match="reload"):
            message_at(view, index, ENGLISH)
