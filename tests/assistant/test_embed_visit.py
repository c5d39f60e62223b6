"""Who asks from a website: what a key opens, and how many answers there are in a day."""

import pytest
from starlette.requests import Request

from assistant.embed_visit import (
    VISITOR_HEADER,
    LimitReached,
    check_limits,
    embed_visit,
    opened,
    websites,
)
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.errors import NotFound
from storage.keys import create_key
from storage.workspaces import set_workspace, workspace

SHOP = "https://shop.example"


def calls(token: str, visitor: str) -> Request:
    header = (VISITOR_HEADER.lower().encode(), visitor.encode())
    return Request({"type": "http", "headers": [header], "path_params": {"key": token}})


@pytest.fixture
def token(db):
    set_workspace(db, "default", "access", "embed")
    set_workspace(db, "default", "embed_origins", f'["{SHOP}", "https://b.example"]')
    made = {"kind": "embed", "workspace_id": 1, "origins": [SHOP], "actor": "x"}
    return create_key(db, "shop", per_day=3, per_visitor=2, **made)[1]


def test_a_key_opens_its_workspace_to_the_websites_of_both(db, token):
    key, found = opened(db, token)
    assert websites(key, found) == (SHOP, "https://b.example")
    set_workspace(db, "default", "access", "members")
    with pytest.raises(NotFound, match="not valid here"):
        opened(db, token)


def test_a_visitor_is_the_hash_of_a_token_with_this_key(app, db, token):
    with embed_visit(app, calls(token, "v" * 32)) as guest:
        first = guest.person.owner
    with embed_visit(app, calls(token, "w" * 32)) as guest:
        assert guest.person.owner != first
    assert first.startswith("visitor:embed-1-") and "vvv" not in first


def test_answers_of_today_are_counted_for_the_visitor_and_for_all(app, db, token):
    def answer(visitor):
        with embed_visit(app, calls(token, visitor * 32)) as guest:
            check_limits(guest)
            said = start_conversation(guest.db, guest.workspace.id, guest.person.owner)
            asked = add_message(guest.db, said.id, "user", "Hi?")
            add_message(guest.db, said.id, "assistant", "Hello.", parent_id=asked.id)

    answer("v")
    answer("v")
    with pytest.raises(LimitReached, match="gives 2 answers a day"):
        answer("v")
    answer("w")
    with pytest.raises(LimitReached, match="gives 3 answers a day"):
        answer("x")
    with write_transaction(db):  # yesterday
        for table, column in (("messages", "created_at"), ("conversations", "updated_at")):
            write(db, f"update {table} set {column} = '2020-01-01T00:00:00.000Z'")
    answer("v")
    assert workspace(db, "default").access == "embed"
