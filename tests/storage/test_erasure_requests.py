"""Wishes to be forgotten: only for what is one's own, decided once."""

import pytest

from storage.conversations import message
from storage.erasure import ask_erasure
from storage.erasure_requests import (
    approve_request,
    erasure_request,
    file_request,
    list_requests,
    refuse_request,
    requests_of,
)
from storage.errors import NotFound, Refused


@pytest.fixture
def talk(db, corrected):
    return message(db, corrected("How long?", "2 years").message_id).conversation_id


def test_a_request_waits_and_asking_again_gives_the_same(db, workspace, talk):
    asked = file_request(db, workspace.id, "conversation", talk, requester="user:1")
    assert (asked.state, asked.kind, asked.subject) == ("pending", "conversation", talk)
    assert file_request(db, workspace.id, "conversation", talk, requester="user:1") == asked
    assert list_requests(db) == list_requests(db, workspace.id) == [asked]
    assert list_requests(db, workspace.id + 1) == []


def test_nobody_asks_for_what_is_not_theirs(db, workspace, talk):
    for kind, subject, who in (
        ("conversation", talk, "user:2"),
        ("feedback", "1", "user:2"),
        ("contributor", "user:1", "user:2"),
    ):
        with pytest.raises(NotFound, match="of yours"):
            file_request(db, workspace.id, kind, subject, requester=who)
    with pytest.raises(NotFound, match="of yours"):
        file_request(db, workspace.id + 1, "conversation", talk, requester="user:1")
    assert file_request(db, workspace.id, "feedback", "1", requester="user:1").id
    assert file_request(db, workspace.id, "contributor", "user:1", requester="user:1").id


def test_a_decision_is_made_once(db, workspace, talk):
    asked = file_request(db, workspace.id, "contributor", "user:1", requester="user:1")
    known = ask_erasure(db, "contributor", "user:1", actor="user:9")
    said = approve_request(db, asked.id, known.id, actor="user:9")
    assert (said.state, said.decided_by, said.erasure_id) == ("approved", "user:9", known.id)
    assert "user:1" not in (said.subject, said.requester)
    for decide in (refuse_request, lambda *a, **k: approve_request(a[0], a[1], known.id, **k)):
        with pytest.raises(Refused, match="already approved"):
            decide(db, asked.id, actor="user:9")
    other = file_request(db, workspace.id, "conversation", talk, requester="user:1")
    assert refuse_request(db, other.id, actor="user:9").state == "refused"
    assert list_requests(db) == []
    assert len(list_requests(db, state=None)) == 2


def test_a_person_sees_their_own_also_once_their_name_is_a_hash(db, workspace, talk):
    first = file_request(db, workspace.id, "contributor", "user:1", requester="user:1")
    known = ask_erasure(db, "contributor", "user:1", actor="user:9")
    approve_request(db, first.id, known.id, actor="user:9")
    second = file_request(db, workspace.id, "conversation", talk, requester="user:1")
    mine = requests_of(db, workspace.id, "user:1")
    assert [(one.id, one.state) for one in mine] == [
        (second.id, "pending"),
        (first.id, "approved"),
    ]
    assert requests_of(db, workspace.id, "user:2") == []
    assert requests_of(db, workspace.id + 1, "user:1") == []


def test_an_unknown_request(db):
    with pytest.raises(NotFound, match="erase --requests"):
        erasure_request(db, 7)
