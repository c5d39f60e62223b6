"""An adapter that was touched, cut, swapped or made elsewhere never reaches the loader."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.tiny import make_tiny_adapter
from tuning import adapter_files
from tuning.adapter_files import (
    CARD,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    AdapterRefused,
    manifest_hash,
    save_adapter,
    verify_adapter,
)


@pytest.fixture(scope="module")
def saved(tiny_base, tmp_path_factory):
    """A good adapter's folder."""
    place = tmp_path_factory.mktemp("saved")
    weights = make_tiny_adapter(tiny_base, place / "weights")
    save(weights, place / "adapter", tiny_base)
    return place / "adapter"


def save(weights, folder, base, **more):
    return save_adapter(
        weights,
        folder,
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        method="qlora",
        round_id=3,
        metrics={"loss": 0.01},
        **more,
    )


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "adapter")


def test_a_saved_adapter_verifies(saved, tiny_base):
    manifest = verify_adapter(saved, tiny_base.fingerprint, expected_manifest=manifest_hash(saved))
    assert (manifest.method, manifest.round_id, manifest.metrics) == ("qlora", 3, {"loss": 0.01})
    assert sorted(path.name for path in saved.iterdir()) == sorted(
        [CARD, CONFIG, MANIFEST, WEIGHTS]
    )
    assert "round 3" in (saved / CARD).read_text()


def test_nothing_names_the_place_it_was_made_in(saved, tiny_base):
    text = (
        (saved / CONFIG).read_text() + (saved / MANIFEST).read_text() + (saved / CARD).read_text()
    )
    assert str(tiny_base.folder) not in text
    assert json.loads((saved / CONFIG).read_text())["base_model_name_or_path"] is None


def test_a_gguf_form_beside_it_is_allowed(folder, tiny_base):
    (folder / "adapter.gguf").write_bytes(b"GGUF")
    verify_adapter(folder, tiny_base.fingerprint)


def test_it_is_never_saved_over_another(saved, tiny_base):
    before = manifest_hash(saved)
    with pytest.raises(AdapterRefused, match="new name"):
        save(saved, saved, tiny_base)
    assert manifest_hash(saved) == before


def test_a_save_that_breaks_off_leaves_nothing(tiny_base, tmp_path, monkeypatch):
    weights = make_tiny_adapter(tiny_base, tmp_path / "weights")
    monkeypatch.setattr(adapter_files, "_card", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(weights, tmp_path / "adapters" / "1", tiny_base)
    assert list((tmp_path / "adapters").iterdir()) == []


def test_nan_is_not_even_saved(tiny_base, tmp_path):
    weights = make_tiny_adapter(tiny_base, tmp_path / "weights")
    change_weights(weights, lambda name, values: values * np.nan)
    with pytest.raises(AdapterRefused) as refused:
        save(weights, tmp_path / "adapter", tiny_base)
    assert refused.value.reason == "values"
    assert not (tmp_path / "adapter").exists()


def change_weights(folder, change, rename=lambda name: name, keep=lambda number: True):
    tensors = load_file(folder / WEIGHTS)
    changed = {
        rename(name): change(name, values)
        for number, (name, values) in enumerate(sorted(tensors.items()))
        if keep(number)
    }
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})


def change_config(folder, **values):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))


def reseal(folder):
    """A manifest that fits what the folder now holds: what somebody with the disk could do."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {
        name: adapter_files._file_facts(folder / name) for name in (CONFIG, WEIGHTS, CARD)
    }
    try:
        shapes = adapter_files._tensor_shapes(folder)
        manifest["tensors"] = {name: list(shape) for name, shape in shapes.items()}
    except AdapterRefused:
        pass
    (folder / MANIFEST).write_text(json.dumps(manifest))


def cut(folder, share):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: int(len(data) * share)])


def flip(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-9] ^= 64
    (folder / WEIGHTS).write_bytes(bytes(data))


def swap_for_link(folder, tmp):
    os.rename(folder / WEIGHTS, tmp / "elsewhere")
    (folder / WEIGHTS).symlink_to(tmp / "elsewhere")


def swap_for_folder(folder, tmp):
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


PLAIN = {
    "no weights": (lambda f, t: (f / WEIGHTS).unlink(), "missing"),
    "no config": (lambda f, t: (f / CONFIG).unlink(), "missing"),
    "no card": (lambda f, t: (f / CARD).unlink(), "missing"),
    "no manifest": (lambda f, t: (f / MANIFEST).unlink(), "missing"),
    "cut to nothing": (lambda f, t: cut(f, 0), "hash"),
    "cut to 30%": (lambda f, t: cut(f, 0.3), "hash"),
    "cut to 90%": (lambda f, t: cut(f, 0.9), "hash"),
    "a bit flipped": (lambda f, t: flip(f), "hash"),
    "other config": (lambda f, t: change_config(f, r=8), "hash"),
    "an extra file": (lambda f, t: (f / "notes.txt").write_text("x"), "extra"),
    "a pickle": (lambda f, t: (f / "adapter_model.bin").write_bytes(b"x"), "pickle"),
    "a link": (swap_for_link, "extra"),
    "a folder": (swap_for_folder, "extra"),
    "manifest cut": (lambda f, t: (f / MANIFEST).write_text('{"base'), "manifest"),
    "manifest a list": (lambda f, t: (f / MANIFEST).write_text("[]"), "manifest"),
    "manifest empty": (lambda f, t: (f / MANIFEST).write_text("{}"), "manifest"),
}


@pytest.mark.parametrize("spoil, reason", PLAIN.values(), ids=PLAIN.keys())
def test_a_changed_folder_is_refused(folder, tmp_path, tiny_base, spoil, reason):
    spoil(folder, tmp_path)
    with pytest.raises(AdapterRefused) as refused:
        verify_adapter(folder, tiny_base.fingerprint)
    assert refused.value.reason == reason
    assert str(folder) in str(refused.value)


def half(value):
    return value.astype(np.float64)


RESEALED = {
    "NaN": (lambda f: change_weights(f, lambda n, v: v * np.nan), "values"),
    "infinity": (lambda f: change_weights(f, lambda n, v: v / 0), "values"),
    "half the tensors": (
        lambda f: change_weights(f, lambda n, v: v, keep=lambda i: i % 2),
        "tensors",
    ),
    "no tensors": (lambda f: change_weights(f, lambda n, v: v, keep=lambda i: False), "tensors"),
    "other names": (
        lambda f: change_weights(f, lambda n, v: v, lambda n: n.replace("lora_A", "lora_C")),
        "tensors",
    ),
    "a module not named": (
        lambda f: change_config(f, target_modules=["q_proj"]),
        "tensors",
    ),
    "another rank": (lambda f: change_weights(f, lambda n, v: v[:2, :2].copy()), "tensors"),
    "other numbers": (lambda f: change_weights(f, lambda n, v: half(v)), "tensors"),
    "weights cut": (lambda f: cut(f, 0.5), "tensors"),
    "huge header": (lambda f: (f / WEIGHTS).write_bytes(b"\xff" * 64), "tensors"),
    "config a list": (lambda f: (f / CONFIG).write_text("[]"), "config"),
    "config cut": (lambda f: (f / CONFIG).write_text('{"r": '), "config"),
    "a pattern for targets": (lambda f: change_config(f, target_modules="(a+)+$"), "config"),
    "a pattern in the list": (lambda f: change_config(f, target_modules=["(a+)+$"]), "config"),
    "no targets": (lambda f: change_config(f, target_modules=[]), "config"),
    "huge rank": (lambda f: change_config(f, r=10_000_000), "config"),
    "rank true": (lambda f: change_config(f, r=True), "config"),
    "auto mapping": (
        lambda f: change_config(f, auto_mapping={"base_model_class": "x"}),
        "config",
    ),
    "another method": (lambda f: change_config(f, peft_type="IA3"), "config"),
    "a base to fetch": (lambda f: change_config(f, base_model_name_or_path="a/b"), "config"),
    "whole layers": (lambda f: change_config(f, modules_to_save=["lm_head"]), "config"),
}


@pytest.mark.parametrize("spoil, reason", RESEALED.values(), ids=RESEALED.keys())
def test_a_fitting_manifest_does_not_help(folder, tiny_base, spoil, reason):
    kept = manifest_hash(folder)
    with np.errstate(all="ignore"):
        spoil(folder)
    reseal(folder)
    with pytest.raises(AdapterRefused) as refused:
        verify_adapter(folder, tiny_base.fingerprint)
    assert refused.value.reason == reason
    with pytest.raises(AdapterRefused) as refused:
        verify_adapter(folder, tiny_base.fingerprint, expected_manifest=kept)
    assert refused.value.reason == "manifest"


def test_an_adapter_for_another_base_is_refused_by_its_fingerprint(saved):
    with pytest.raises(AdapterRefused, match="another|made for the base") as refused:
        verify_adapter(saved, "0" * 64)
    assert refused.value.reason == "base"
