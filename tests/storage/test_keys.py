"""Keys: made once, known by their hash alone, ended at once."""

import hashlib

import pytest

from storage.audit import list_audit
from storage.database import rows, write, write_transaction
from storage.errors import BadInput, NotFound
from storage.keys import create_key, key_of, list_keys, revoke_key
from storage.workspaces import create_workspace, delete_workspace, workspace


@pytest.fixture
def default(db):
    return workspace(db, "default").id


def test_a_key_is_known_by_its_secret_which_is_nowhere_in_the_database(db, default):
    made, secret = create_key(db, "shop", workspace_id=default, actor="cli:ada")
    other, other_secret = create_key(db, "till", workspace_id=None, scopes=["chat"], actor="x")
    assert key_of(db, secret, "api").id == made.id
    assert key_of(db, other_secret, "api").scopes == ("chat",)
    assert len({secret, other_secret}) == 2 and len(secret) >= 43
    stored = str(rows(db, "select * from keys") + rows(db, "select * from audit"))
    assert secret not in stored and hashlib.sha256(secret.encode()).hexdigest() in stored
    assert secret.startswith(made.shown) and len(made.shown) < 20
    assert [entry.action for entry in list_audit(db)][:2] == ["key created", "key created"]


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "apprentice_", "é" * 5000])
def test_nothing_else_is_a_key(db, default, token):
    made, secret = create_key(db, "shop", workspace_id=default, actor="x")
    assert key_of(db, token, "api") is None
    assert key_of(db, made.shown, "api") is None
    assert key_of(db, secret, "embed") is None
    assert key_of(db, rows(db, "select hash from keys")[0]["hash"], "api") is None


def test_a_revoked_key_is_none_and_its_name_is_free(db, default):
    made, secret = create_key(db, "shop", workspace_id=default, actor="x")
    assert revoke_key(db, " shop", actor="cli:ada").revoked_at
    assert key_of(db, secret, "api") is None
    assert list_audit(db)[0].subject == f"key:{made.id}"
    with pytest.raises(NotFound, match="no valid key 'shop'"):
        revoke_key(db, "shop", actor="x")
    again, _ = create_key(db, "shop", workspace_id=default, actor="x")
    assert [key.id for key in list_keys(db)] == [again.id, made.id]


def test_use_is_noted_once_a_minute(db, default):
    _, secret = create_key(db, "shop", workspace_id=default, actor="x")
    assert list_keys(db)[0].last_used_at is None
    key_of(db, secret, "api")
    first = list_keys(db)[0].last_used_at
    key_of(db, secret, "api")
    assert list_keys(db)[0].last_used_at == first is not None
    with write_transaction(db):
        write(db, "update keys set last_used_at = '2020-01-01T00:00:00.000Z'")
    key_of(db, secret, "api")
    assert list_keys(db)[0].last_used_at >= first


def test_an_embed_key_stays_readable_and_has_its_websites_and_limits(db, default):
    sites = ["https://www.Example.com/", "http://localhost:8000"]
    made, token = create_key(
        *(db, "site"), kind="embed", workspace_id=default, origins=sites, per_visitor=20, actor="x"
    )
    assert made.shown == token
    assert made.origins == ("https://www.example.com", "http://localhost:8000")
    assert (made.scopes, made.per_visitor, made.per_day) == ((), 20, None)
    assert key_of(db, token, "embed") and key_of(db, token, "api") is None


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"name": " "}, "cannot name a key"),
        ({"name": "a\nb"}, "cannot name a key"),
        ({"name": "taken"}, "already a key 'taken'"),
        ({"scopes": ["chat", "root"]}, "'root' is no scope"),
        ({"scopes": []}, "use chat, feedback"),
        ({"per_minute": 0}, "from 1 up"),
        ({"origins": ["https://a.b"]}, "add --embed"),
        ({"per_day": 3}, "add --embed"),
        ({"kind": "embed"}, "names the websites"),
        ({"kind": "embed", "origins": ["https://a.b"], "workspace_id": None}, "one workspace"),
        ({"kind": "embed", "origins": ["www.example.com"]}, "is no website"),
        ({"kind": "embed", "origins": ["https://a.b; script-src *"]}, "is no website"),
        ({"kind": "embed", "origins": ["https://*"]}, "is no website"),
    ],
)
def test_a_key_that_cannot_be_is_refused(db, default, wrong, said):
    create_key(db, "taken", workspace_id=default, actor="x")
    with pytest.raises(BadInput, match=said):
        create_key(db, **{"name": "shop", "workspace_id": default, "actor": "x", **wrong})
    assert len(list_keys(db)) == 1


def test_a_key_needs_its_workspace_and_goes_with_it(db):
    with pytest.raises(NotFound):
        create_key(db, "shop", workspace_id=999, actor="x")
    team = create_workspace(db, "team")
    _, secret = create_key(db, "shop", workspace_id=team.id, actor="x")
    delete_workspace(db, "team")
    assert key_of(db, secret, "api") is None
