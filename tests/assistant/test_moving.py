"""A workspace moved between two cells: nothing lost, whatever is in the way or cut off."""

import os
from contextlib import closing

import numpy as np
import pytest

from assistant import moving
from assistant.app import open_app
from assistant.signing import is_signed
from storage.adapters import add_adapter
from storage.audit import audit_chain, list_audit
from storage.conversations import add_message, start_conversation
from storage.database import faults, insert, one, open_database, rows, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.fences import place_of
from storage.jobs import create_job
from storage.keys import create_key, key_of
from storage.moved_acts import ARRIVED
from storage.users import create_user, user_by_name
from storage.workspace_rows import rows_of
from storage.workspaces import create_workspace, workspace
from tests.fleet import (
    NAME,
    each,
    moved,
    owners,
    settings_at,
    shop_in_a,
    two_cells,
    words,
)


@pytest.fixture
def fleet_of_two(tmp_path):
    two_cells(tmp_path)
    shop_in_a(tmp_path)
    return tmp_path


def said_in(one_cell, workspace_id: int) -> list[str]:
    with open_database(one_cell.datadir.database) as db:
        sql = f"select content from messages where {rows_of('messages', workspace_id)}"
        return sorted(str(row["content"]) for row in rows(db, sql))


def test_all_of_it_is_there_and_nothing_is_left(fleet_of_two):
    folder = fleet_of_two
    a, b = each(folder)
    with open_database(a.datadir.database) as db:
        shop, other = workspace(db, NAME), workspace(db, "other")
        _, token = create_key(db, "program", workspace_id=shop.id, actor="t")
    said, others = said_in(a, shop.id), said_in(a, other.id)
    done = moved(folder, "b")
    assert (done.move.step, done.move.owner, done.trouble) == ("done", "b", "")
    assert said_in(b, shop.id) == said and said_in(a, shop.id) == []
    assert said_in(a, other.id) == others and said_in(b, other.id) == []
    with open_database(a.datadir.database) as here, open_database(b.datadir.database) as there:
        with pytest.raises(NotFound):
            workspace(here, NAME)
        assert workspace(there, NAME) == shop
        assert key_of(there, token, "api").workspace_id == shop.id
        assert key_of(here, token, "api") is None
        for db in (here, there):
            assert faults(db) == [] and audit_chain(db).kept
            assert not rows(db, "select 1 from sqlite_schema where name like 'fence_%'")
        assert list_audit(here, 1)[0].action == "workspace moved away"
        assert ARRIVED in {act.action for act in list_audit(there, 50)}
    for kind in ("documents", "rounds"):
        files = [p.read_text() for p in (b.data / kind).rglob("file.txt")]
        assert files == [f"{NAME} {kind}"]
        assert [p.read_text() for p in (a.data / kind).rglob("file.txt")] == [f"other {kind}"]


def test_and_back_with_what_was_said_there(fleet_of_two):
    folder = fleet_of_two
    moved(folder, "b")
    a, b = each(folder)
    with open_database(b.datadir.database) as db:
        shop = workspace(db, NAME)
        talk = start_conversation(db, shop.id, "user:1")
        add_message(db, talk.id, "user", "said in b")
        assert one(db, "select max(id) as id from keys")["id"] >= shop.id
        made = create_key(db, "made-in-b", workspace_id=shop.id, actor="t")[0]
    assert moved(folder, "a").move.owner == "a"
    assert "said in b" in said_in(a, shop.id) and "said in b" not in words(b)
    with open_database(a.datadir.database) as db:
        assert create_key(db, "made-in-a", workspace_id=shop.id, actor="t")[0].id > made.id


def test_vectors_come_along_and_are_not_made_again(fleet_of_two):
    folder = fleet_of_two
    a, b = each(folder)
    with open_database(a.datadir.database) as db:
        shop = workspace(db, NAME).id
        found = rows(db, "select id, hash from chunks where workspace_id = ?", shop)
    ids, hashes = [row["id"] for row in found], [row["hash"] for row in found]
    vectors = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
    with open_app(settings_at(folder, "a")) as app:
        app.index.upsert(f"chunks-{shop}-e", ids, vectors, hashes)
        app.index.upsert("chunks-999-e", ids, vectors, hashes)
    moved(folder, "b")
    with open_app(settings_at(folder, "b")) as app:
        assert app.index.collections() == [f"chunks-{shop}-e"]
        assert app.index.hashes(f"chunks-{shop}-e") == dict(zip(ids, hashes, strict=True))
        order, copies = app.index.vectors(f"chunks-{shop}-e", ids)
        np.testing.assert_allclose(copies, vectors[[ids.index(one) for one in order]], rtol=1e-6)
    with open_app(settings_at(folder, "a")) as app:
        assert app.index.collections() == ["chunks-999-e"]


def test_an_adapter_is_signed_by_the_new_cells_key_if_it_was_by_the_formers(
    fleet_of_two, tiny_base, monkeypatch
):
    """And one that somebody put beside the others is not."""
    from tests.made_adapter import made

    folder = fleet_of_two
    settings = settings_at(folder, "a", base_model=str(tiny_base.folder))
    with open_app(settings) as app, closing(app.db()) as db:
        shop = workspace(db, NAME)
        signed = made(app, shop, "lora", folder)
        false = add_adapter(
            *(db, shop.id),
            round_id=None,
            parent_id=None,
            base_fingerprint=tiny_base.fingerprint,
            method="lora",
            manifest_hash="m",
        ).id
        app.adapter_folder(false).mkdir()
    keys = {"a": os.environ["APPRENTICE_SIGNING_KEY"], "b": str(folder / "keys" / "b.key")}
    at = moving.Work.at

    def by_its_key(work, end, verb, **given):
        work.settings = work.settings.model_copy(update={"signing_key": keys[end.name]})
        return at(work, end, verb, **given)

    monkeypatch.setattr(moving.Work, "at", by_its_key)  # as two servers with two keys are
    moved(folder, "b")
    there = settings_at(folder, "b", signing_key=keys["b"])
    with open_database(folder / "b" / "apprentice.db") as db:
        assert is_signed(there, db, signed)
        assert not is_signed(there, db, false)
    weights = folder / "b" / "adapters" / str(signed) / "adapter_model.safetensors"
    assert weights.is_file() and not (folder / "a" / "adapters" / str(signed)).exists()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda a, b, shop: create_job(a, "round", shop.id), "has a round going on"),
        (lambda a, b, shop: create_workspace(b, NAME), "a workspace 'shop' of its own"),
        (
            lambda a, b, shop: create_key(b, f"{NAME}-key", workspace_id=1, actor="t"),
            "a key 'shop-key' too",
        ),
        (
            lambda a, b, shop: create_user(b, f"{NAME}-ada", "hash", "member"),
            "two people must not become one",
        ),
    ],
)
def test_what_is_in_the_way_leaves_it_where_it_was(fleet_of_two, act, said):
    a, b = each(fleet_of_two)
    with open_database(a.datadir.database) as here, open_database(b.datadir.database) as there:
        shop = workspace(here, NAME)
        act(here, there, shop)
        before = said_in(a, shop.id)
        with pytest.raises(Refused, match=said):
            moved(fleet_of_two, "b")
        talk = start_conversation(here, shop.id, "user:1")  # it is answered for
        assert said_in(a, shop.id) == before and said_in(b, shop.id) == []
        assert place_of(there, shop.id) == "here"
        assert talk.workspace_id == shop.id


def test_what_cannot_move(fleet_of_two):
    with pytest.raises(Refused, match="its own workspace 'default'"):
        moved(fleet_of_two, "b", "default")
    with pytest.raises(NotFound, match="No cell has a workspace 'none'"):
        moved(fleet_of_two, "b", "none")
    with pytest.raises(NotFound, match="no cell 'c'"):
        moved(fleet_of_two, "c")
    with pytest.raises(BadInput, match="in the cell 'a' already"):
        moved(fleet_of_two, "a")


def test_a_copy_that_differs_is_not_served(fleet_of_two, monkeypatch):
    """The last comparison says no: the former cell goes on, nothing is deleted."""
    a, b = each(fleet_of_two)
    real = moving.counts_and_hash

    def torn(path, workspace_id):
        if path == b.datadir.database:  # a bit that flipped on that disk
            with open_database(path) as db, write_transaction(db):
                db.execute("update messages set content = 'flipped' where rowid = 1")
        return real(path, workspace_id)

    monkeypatch.setattr(moving, "counts_and_hash", torn)
    with pytest.raises(Refused, match="not what it was made of"):
        moved(fleet_of_two, "b")
    assert owners(fleet_of_two) == ["a"]
    monkeypatch.undo()
    assert moved(fleet_of_two, "b").move.owner == "b"
    assert "flipped" not in words(b)


def test_a_users_conversation_stays_theirs(fleet_of_two):
    a, b = each(fleet_of_two)
    with open_database(a.datadir.database) as db:
        ada = user_by_name(db, f"{NAME}-ada")
    moved(fleet_of_two, "b")
    with open_database(b.datadir.database) as db:
        assert user_by_name(db, f"{NAME}-ada") == ada
        owned = rows(db, "select distinct owner from conversations")
        assert [row["owner"] for row in owned] == [f"user:{ada.id}"]
        with write_transaction(db):
            insert(db, "conversations", id="x", workspace_id=1, owner="user:1")
