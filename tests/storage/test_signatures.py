"""Signatures: only the holder of the key can make one, and a changed row shows."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.adapters import adapter, promote, serving_adapter
from storage.audit import list_audit
from storage.database import write, write_transaction
from storage.errors import BadInput
from storage.proofs import Forged, forget_proofs, proof, put_proof, replace_unproved, unproved
from storage.signatures import key_name, sign, sign_unsigned, signature_state, signing_key

SAID = {"prompt_ids": [1, 2], "likeliest": [[3, -0.1], [4, -2.5]]}


@pytest.fixture
def key(tmp_path):
    return signing_key(tmp_path / "keys" / "signing.key")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "signing.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(signing_key, [path] * 16))
    assert len(keys) == 1 and len(keys.pop()) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["signing.key"]


def test_a_key_that_is_none(tmp_path):
    (tmp_path / "short").write_text("abc")
    with pytest.raises(BadInput, match="has 3 characters"):
        signing_key(tmp_path / "short")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be used"):
        signing_key(tmp_path / "file" / "key")
    assert signing_key(tmp_path / "key").decode() not in key_name(signing_key(tmp_path / "key"))


def test_what_is_signed_is_told_from_what_is_not(db, candidate, key, tmp_path):
    made, other = candidate(), candidate()
    assert signature_state(db, made.id, key) == "unsigned"
    sign(db, made.id, key)
    assert signature_state(db, made.id, key) == "signed"
    assert signature_state(db, other.id, key) == "unsigned"
    assert signature_state(db, made.id, signing_key(tmp_path / "other")) == "another key"


@pytest.mark.parametrize("column", ["manifest_hash", "base_fingerprint"])
def test_a_changed_row_is_not_the_signed_one(db, candidate, key, column):
    made = candidate()
    sign(db, made.id, key)
    with write_transaction(db):
        write(db, f"update adapters set {column} = 'another' where id = ?", made.id)
    assert signature_state(db, made.id, key) == "forged"


def test_anothers_signature_does_not_fit(db, candidate, key):
    first, second = candidate(), candidate()
    sign(db, first.id, key)
    with write_transaction(db):
        write(
            db,
            "insert into adapter_signatures select ?, key, signature, signed_at "
            "from adapter_signatures where adapter_id = ?",
            *(second.id, first.id),
        )
    assert signature_state(db, second.id, key) == "forged"


def test_what_was_there_before_is_signed_and_that_is_audited(db, candidate, key):
    first, second = candidate(), candidate()
    sign(db, first.id, key)
    assert sign_unsigned(db, key) == 1
    assert sign_unsigned(db, key) == 0
    acts = list_audit(db, action="adapters signed")
    assert [act.detail for act in acts] == [{"adapters": [second.id]}]
    assert signature_state(db, second.id, key) == "signed"


def test_a_proof_is_kept_per_engine_and_cannot_be_changed(db, candidate, key):
    made = candidate()
    assert proof(db, made.id, "llamacpp", key) is None
    put_proof(db, made.id, "llamacpp", SAID, key)
    assert proof(db, made.id, "llamacpp", key) == SAID
    assert proof(db, made.id, "torch_peft", key) is None
    with write_transaction(db):
        write(db, "update adapter_proofs set proof = replace(proof, '-0.1', '-0.2')")
    with pytest.raises(Forged):
        proof(db, made.id, "llamacpp", key)
    forget_proofs(db, made.id)
    assert proof(db, made.id, "llamacpp", key) is None


def test_a_proof_from_when_signatures_were_off_counts_as_none(db, candidate, key):
    made = candidate()
    put_proof(db, made.id, "llamacpp", SAID, None)
    assert proof(db, made.id, "llamacpp", None) == SAID
    assert proof(db, made.id, "llamacpp", key) is None


def test_the_last_good_one_serves_in_place_of_one_that_is_not_proved(db, workspace, candidate):
    good, bad = candidate(), candidate()
    for made in (good, bad):
        promote(db, made.id, actor="gate")
    assert unproved(db, workspace.id) == ""
    assert replace_unproved(db, bad.id, "llamacpp").id == good.id
    assert serving_adapter(db, workspace.id).id == good.id
    assert adapter(db, bad.id).status == "rejected"
    assert f"adapter {bad.id} did not say by llamacpp" in unproved(db, workspace.id)
    assert f"adapter {good.id} answered from then on" in unproved(db, workspace.id)
    assert unproved(db, workspace.id + 1) == ""
    assert replace_unproved(db, good.id, "llamacpp") is None
    assert serving_adapter(db, workspace.id) is None
    assert "the base model answered" in unproved(db, workspace.id)
