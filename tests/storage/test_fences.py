"""A workspace that moves: nobody writes to it, whoever it is, and nobody sees half of it."""

import pytest

from storage.conversations import add_message, finish_message, start_conversation
from storage.database import one, rows, write, write_transaction
from storage.errors import Moving, NotFound
from storage.feedback import add_feedback
from storage.fences import place_of, refuse_moving, set_place, unsaved_replies
from storage.workspace_rows import MADE_BY_TRIGGERS, OF_WORKSPACE, rows_of
from storage.workspaces import create_workspace, list_workspaces, workspace, workspace_by_id
from tests.full_workspace import full_workspace

ENDED = {"prompt_tokens": 1, "completion_tokens": 1, "latency_ms": 1.0, "ttft_ms": 1.0}


@pytest.fixture
def shop(db, datadir):
    full_workspace(datadir, db, "other")
    return full_workspace(datadir, db, "shop")


@pytest.mark.parametrize("table", sorted(set(OF_WORKSPACE) - set(MADE_BY_TRIGGERS)))
def test_no_row_can_be_changed_behind_the_fence(db, shop, table):
    column = rows(db, f"pragma table_info({table})")[0]["name"]
    set_place(db, shop.id, "moving", "all")
    condition = rows_of(table, shop.id)
    for change in (
        f'update {table} set "{column}" = "{column}" where {condition}',
        f"delete from {table} where {condition}",
        f"insert or replace into {table} select * from {table} where {condition}",
    ):
        with pytest.raises(Moving, match="try again in a second"), write_transaction(db):
            write(db, change)
    set_place(db, shop.id, "here", "none")
    with write_transaction(db):
        assert write(db, f'update {table} set "{column}" = "{column}" where {condition}') > 0


def test_its_own_row_too_and_only_its_own(db, shop):
    set_place(db, shop.id, "moving", "all")
    with write_transaction(db):
        write(db, "update workspaces set access = 'members' where name = 'other'")
    with pytest.raises(Moving), write_transaction(db):
        write(db, "update workspaces set access = 'members' where name = 'shop'")
    other = workspace(db, "other")
    talk = start_conversation(db, other.id, "user:1")
    assert add_message(db, talk.id, "user", "still answered").content == "still answered"


def test_a_reply_that_was_begun_can_be_saved_and_no_question_asked(db, shop):
    talk = start_conversation(db, shop.id, "user:1")
    asked = add_message(db, talk.id, "user", "How long?")
    set_place(db, shop.id, "moving", "questions")
    reply = add_message(db, talk.id, "assistant", "", parent_id=asked.id)
    assert unsaved_replies(db, shop.id) == 1
    finish_message(db, reply.id, content="30 days", finish_reason="stop", **ENDED)
    assert unsaved_replies(db, shop.id) == 0
    for stopped in (
        lambda: add_message(db, talk.id, "user", "And then?"),
        lambda: start_conversation(db, shop.id, "user:1"),
        lambda: add_feedback(
            db, message_id=reply.id, origin="staff", contributor="user:1", rating=1
        ),
    ):
        with pytest.raises(Moving):
            stopped()
    assert one(db, "select content from messages where id = ?", reply.id)["content"] == "30 days"


def test_who_sees_it_where(db, shop):
    def names():
        return [item.name for item in list_workspaces(db)]

    set_place(db, shop.id, "moving", "all")
    assert "shop" in names() and workspace(db, "shop").id == shop.id  # it can be read
    with pytest.raises(Moving):
        refuse_moving(db, shop.id)
    set_place(db, shop.id, "gone", "all")
    assert "shop" not in names()
    for looked in (lambda: workspace(db, "shop"), lambda: workspace_by_id(db, shop.id)):
        with pytest.raises(Moving):
            looked()
    set_place(db, shop.id, "arriving", "none")
    assert "shop" not in names()
    with pytest.raises(NotFound):
        workspace(db, "shop")
    set_place(db, shop.id, "here", "none")
    assert "shop" in names() and place_of(db, shop.id) == "here"


def test_the_fence_of_1_is_not_that_of_11(db, shop):
    others = [create_workspace(db, f"w{number}") for number in range(10)]
    longer = next(item for item in others if str(item.id).startswith("1"))
    short = int(str(longer.id)[0])
    set_place(db, longer.id, "moving", "all")
    set_place(db, short, "here", "none")
    with pytest.raises(Moving):
        start_conversation(db, longer.id, "user:1")
