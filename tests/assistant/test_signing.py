"""An adapter serves only while this machine's key says that it is the one that was made here."""

import json
import shutil
from contextlib import closing

import pytest

from assistant.signing import KNOWN, key_path
from storage.adapters import adapter
from storage.audit import list_audit
from storage.database import write, write_transaction
from storage.errors import BadInput
from tests.assistant.command_line import run_verb
from tests.made_adapter import made
from tests.tuning.spoilt import change_weights, reseal
from tuning.adapter_files import AdapterRefused, manifest_hash


@pytest.fixture
def settings(settings, tmp_path):
    """With a key of this test's own."""
    return settings.model_copy(update={"signing_key": str(tmp_path / "keys" / "signing.key")})


def refused(app, adapter_id):
    with pytest.raises(AdapterRefused) as caught:
        app.load_adapter(adapter_id)
    assert caught.value.reason == "signature"
    return str(caught.value)


def swap_weights(app, adapter_id):
    """What somebody with the disk could do: other weights, manifest and row alike."""
    folder = app.adapter_folder(adapter_id)
    change_weights(folder, lambda name, values: values * 2)
    reseal(folder)
    with closing(app.db()) as db, write_transaction(db):
        sql = "update adapters set manifest_hash = ? where id = ?"
        write(db, sql, manifest_hash(folder), adapter_id)


def test_what_was_made_here_loads(app, workspace, tmp_path):
    app.load_adapter(made(app, workspace, "lora", tmp_path))


def test_other_weights_under_a_fitting_manifest_and_row_are_refused(app, workspace, tmp_path):
    mine = made(app, workspace, "lora", tmp_path)
    swap_weights(app, mine)
    assert "signature does not fit" in refused(app, mine)
    with closing(app.db()) as db, write_transaction(db):
        write(db, "delete from adapter_signatures")
    said = refused(app, mine)
    assert "not signed by this machine's key" in said and f"adapters sign {mine}" in said
    with pytest.raises(AdapterRefused, match="not signed"):
        run_verb(app, "adapters promote", id=mine, reason="x")


def test_a_lost_key_is_told_and_what_is_here_can_be_signed_anew(app, workspace, tmp_path):
    mine = made(app, workspace, "lora", tmp_path)
    app.load_adapter(mine)
    app.forget_adapter(mine)
    shutil.rmtree(key_path(app.settings).parent)
    assert "signed with another key" in refused(app, mine)
    (done,), code = run_verb(app, "adapters sign", ids=[mine])
    assert (done["signed"], code) == (True, 0)
    app.load_adapter(mine)
    with closing(app.db()) as db:
        act = list_audit(db, action="adapter signed")[0]
        assert (act.subject, act.detail) == (f"adapter:{mine}", {"was": "another key"})


def test_what_is_not_whole_is_not_signed(app, workspace, tmp_path):
    mine = made(app, workspace, "lora", tmp_path)
    change_weights(app.adapter_folder(mine), lambda name, values: values * 2)
    with pytest.raises(AdapterRefused, match="has changed since it was saved"):
        run_verb(app, "adapters sign", ids=[mine])


def test_adapters_from_before_there_was_a_key_are_signed_when_it_comes(app, workspace, tmp_path):
    old = made(app, workspace, "lora", tmp_path)
    shutil.rmtree(key_path(app.settings).parent)
    with closing(app.db()) as db, write_transaction(db):
        write(db, "delete from adapter_signatures")
    app.load_adapter(old)
    note = key_path(app.settings)
    assert len(note.with_name(note.name + KNOWN).read_text().splitlines()) == 1


def test_a_key_in_the_data_directory_is_no_key(app, workspace, tmp_path):
    inside = app.settings.model_copy(update={"signing_key": str(app.datadir.root / "key")})
    app.settings = inside
    with pytest.raises(BadInput, match="lies in the data directory"):
        made(app, workspace, "lora", tmp_path)
    assert not (app.datadir.root / "key").exists()


def test_signatures_can_be_off(app, workspace, tmp_path):
    app.settings = app.settings.model_copy(update={"signing_key": "off"})
    mine = made(app, workspace, "lora", tmp_path)
    app.load_adapter(mine)
    with pytest.raises(BadInput, match="Signatures are off"):
        run_verb(app, "adapters sign", ids=[mine])
    with closing(app.db()) as db:
        assert adapter(db, mine).status == "candidate"
    json.loads((app.adapter_folder(mine) / "manifest.json").read_text())
