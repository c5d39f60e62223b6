"""Adapters that come from elsewhere: ours and PEFT's, whole and broken."""

import json
import shutil
from contextlib import closing

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from storage.adapters import adapter, list_adapters
from storage.audit import list_audit
from storage.errors import BadInput, Refused
from tests.assistant.command_line import run_verb
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import AdapterRefused, save_adapter, verify_adapter


@pytest.fixture
def plain(app, tmp_path):
    """A folder as PEFT leaves it, with what its author's machine put into the config."""
    folder = make_tiny_adapter(app.base, tmp_path / "plain")
    change(folder, base_model_name_or_path="/home/x/model", lora_dropout=0.05, inference_mode=False)
    return folder


@pytest.fixture
def ours(app, tmp_path):
    """A folder that another house exported."""
    save_adapter(
        make_tiny_adapter(app.base, tmp_path / "made"),
        tmp_path / "ours",
        base_fingerprint=app.base.fingerprint,
        method="lora",
        round_id=12,
        metrics={"steps": 3},
    )
    return tmp_path / "ours"


def change(folder, **settings):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def take_in(app, folder):
    (result,), code = run_verb(app, "adapters import", workspace="default", folder=str(folder))
    assert code == 0
    return result


@pytest.mark.parametrize("which", ["plain", "ours"])
def test_it_is_a_candidate_that_serves_only_by_a_named_reason(app, which, request):
    folder = request.getfixturevalue(which)
    made = take_in(app, folder)
    assert (made["adapter"], made["status"], made["method"]) == (1, "candidate", "lora")
    assert (made["round"], made["verdict"]) == (None, "not enough evidence")
    assert "Nothing is kept back" in made["reasons"][0]
    with closing(app.db()) as db:
        known = adapter(db, 1)
        assert known.round_id is None
        entry = list_audit(db, 1)[0]
        assert (entry.action, entry.detail["manifest"]) == ("adapter imported", which == "ours")
    manifest = verify_adapter(
        app.adapter_folder(1), app.base.fingerprint, expected_manifest=known.manifest_hash
    )
    assert set(manifest.files) == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    config = json.loads((app.adapter_folder(1) / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    with pytest.raises(Refused, match="passed no gate"):
        run_verb(app, "adapters promote", id=1)
    run_verb(app, "adapters promote", id=1, reason="measured by hand")
    app.load_adapter(1)


def pickled(folder):
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04")


def half(folder):
    found = load_file(folder / "adapter_model.safetensors")
    save_file(dict(list(found.items())[: len(found) // 2]), folder / "adapter_model.safetensors")


def not_a_number(folder):
    found = load_file(folder / "adapter_model.safetensors")
    found[min(found)] = np.full_like(found[min(found)], np.nan)
    save_file(found, folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (pickled, "pickle"),
        (half, "half"),
        (not_a_number, "values"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "missing"),
        (lambda folder: (folder / "adapter_config.json").write_text("[1"), "config"),
        (lambda folder: (folder / "adapter_config.json").write_text("[1]"), "config"),
        (lambda folder: (folder / "adapter_config.json").write_text(" " * (2 << 20)), "config"),
        (lambda folder: change(folder, target_modules="(a+)+$"), "targets"),
        (lambda folder: change(folder, peft_type="PREFIX_TUNING"), "kind"),
        (lambda folder: change(folder, init_lora_weights="pissa"), "config"),
        (lambda folder: change(folder, r=10_000_000), "rank"),
    ],
)
def test_a_plain_folder_that_is_not_sound_is_refused(app, plain, spoil, reason):
    spoil(plain)
    with pytest.raises(AdapterRefused) as refused:
        take_in(app, plain)
    assert refused.value.reason == reason
    assert_nothing_came_in(app)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "README.md").unlink(), "missing"),
        (lambda folder: (folder / "README.md").write_text("other"), "hash"),
        (lambda folder: (folder / "more.txt").write_text("x"), "extra"),
        (pickled, "pickle"),
        (half, "hash"),
    ],
)
def test_a_folder_of_ours_must_be_as_it_was(app, ours, spoil, reason):
    spoil(ours)
    with pytest.raises(AdapterRefused) as refused:
        take_in(app, ours)
    assert refused.value.reason == reason
    assert_nothing_came_in(app)


def test_one_for_another_base_is_refused(app, tmp_path):
    made = make_tiny_adapter(app.base, tmp_path / "made")
    other = {"base_fingerprint": "0" * 64, "method": "lora", "round_id": 1}
    save_adapter(made, tmp_path / "b", metrics={}, **other)
    with pytest.raises(AdapterRefused, match="made for the base 000000000000"):
        take_in(app, tmp_path / "b")
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(BadInput, match="no adapter_config.json"):
        take_in(app, tmp_path / "b")


def test_a_copy_of_our_own_is_tainted_with_it(app, ours):
    first, again = take_in(app, ours)["adapter"], take_in(app, ours)["adapter"]
    with closing(app.db()) as db:
        assert (adapter(db, first).parent_id, adapter(db, again).parent_id) == (None, first)


def assert_nothing_came_in(app):
    with closing(app.db()) as db:
        assert list_adapters(db, 1) == []
    assert list(app.datadir.adapters.iterdir()) == []
