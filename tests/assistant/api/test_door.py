"""Who gets into the API, how often, and what everybody else is told."""

import json
from contextlib import closing

import httpx
import openai
import pytest

from assistant.security import SESSION_COOKIE, VISITOR_COOKIE, session_cookie, visitor_cookie
from storage.database import rows
from storage.keys import create_key, revoke_key
from storage.users import create_user
from storage.workspaces import workspace
from tests.assistant.people import hashed

ASK = {"model": "default", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 1}


def everything(service) -> str:
    """All rows but for when a key was last used."""
    with closing(service.app.db()) as db:
        return "\n".join(line for line in db.conn.iterdump() if 'INTO "keys"' not in line)


@pytest.fixture(scope="module")
def cookies(service):
    """An admin's session and a visitor's."""
    with closing(service.app.db()) as db:
        admin = create_user(db, "ada", hashed(), "admin")
        session = session_cookie(service.app, db, admin)
    return {SESSION_COOKIE: session, VISITOR_COOKIE: visitor_cookie(service.app)}


def test_without_a_valid_key_there_is_nothing(service, cookies):
    with closing(service.app.db()) as db:
        _, revoked = create_key(db, "old", workspace_id=None, actor="x")
        revoke_key(db, "old", actor="x")
        site = {"kind": "embed", "workspace_id": workspace(db, "default").id}
        _, embed = create_key(db, "site", **site, origins=["https://a.b"], actor="x")
        stored = rows(db, "select hash from keys")[0]["hash"]
    good = service.keys["all"]
    sent = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": good},
        {"Authorization": f"Basic {good}"},
        {"x-api-key": good},
    ]
    for wrong in ("x", revoked, embed, stored, good[:-1], good + "x", good.upper()):
        sent.append({"Authorization": f"Bearer {wrong}"})
    before = everything(service)
    with httpx.Client(base_url=service.url, cookies=cookies) as client:
        for headers in sent:
            for method, path in (
                ("GET", "/v1/models"),
                ("GET", "/v1/models/default"),
                ("GET", "/v1/nothing"),
                ("POST", "/v1/chat/completions"),
                ("POST", "/v1/feedback"),
            ):
                answer = client.request(method, path, headers=headers, json=ASK)
                assert answer.status_code == 401, (headers, path)
                assert answer.json()["error"]["type"] == "authentication_error"
                assert answer.headers["www-authenticate"] == "Bearer"
        asked = client.get("/v1/models", params={"api_key": good, "key": good})
        assert asked.status_code == 401
    assert everything(service) == before


def test_the_clients_own_exceptions(service):
    with pytest.raises(openai.AuthenticationError) as refused:
        service.client("wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        service.client("feedback").chat.completions.create(**ASK)
    assert (refused.value.code, "--scope chat" in str(refused.value)) == ("missing_scope", True)
    with pytest.raises(openai.NotFoundError):
        service.client().embeddings.create(model="default", input="x")


def test_a_key_is_revoked_at_once(service):
    with closing(service.app.db()) as db:
        _, secret = create_key(db, "brief", workspace_id=None, actor="x")
        client = service.client(secret)
        assert client.models.list().data
        revoke_key(db, "brief", actor="x")
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_a_key_has_its_own_pace(service):
    client = service.client("three")
    for _ in range(3):
        client.models.list()
    with pytest.raises(openai.RateLimitError) as refused:
        client.models.list()
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 60
    assert service.client().models.list().data  # another one's is another


def test_the_models_are_the_workspaces_of_the_key(service):
    assert [one.id for one in service.client("team").models.list()] == ["team", "team@base"]
    names = [one.id for one in service.client().models.list()]
    assert names == ["default", "default@base", "team", "team@base"]
    found = service.client("team").models.retrieve("team")
    assert found.owned_by == "apprentice" and found.created > 1_700_000_000
    with pytest.raises(openai.NotFoundError):
        service.client("team").models.retrieve("default")


def test_other_websites_stay_outside(service):
    headers = {"Authorization": f"Bearer {service.keys['all']}", "Origin": "https://evil.example"}
    with httpx.Client(base_url=service.url, headers=headers) as client:
        sent = client.post("/v1/chat/completions", json=ASK)
        assert (sent.status_code, sent.json()["error"]["type"]) == (403, "permission_error")
        for answer in (sent, client.get("/v1/models"), client.options("/v1/chat/completions")):
            assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"model": "default", "messages": "hello"}', 400),
        (b"[" * 100_000, 400),
        (b"\xff\xfe", 400),
        (json.dumps({"\ud800": 1}).encode(), 400),
        (b"x" * (2 << 20), 413),
    ],
)
def test_a_body_that_is_none_is_a_4xx_in_the_clients_shape(service, body, status):
    headers = {"Authorization": f"Bearer {service.keys['all']}", "Content-Type": "application/json"}
    for path in ("/v1/chat/completions", "/v1/feedback"):
        answer = httpx.post(service.url + path, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
