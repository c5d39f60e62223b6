"""An adapter that was touched, cut, swapped or made elsewhere never reaches the loader."""

import json
import shutil

import numpy as np
import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests import tiny
from tests.tiny import make_tiny_adapter
from tests.tuning.spoilt import (
    PLAIN,
    RESEALED,
    change_config,
    change_weights,
    kept,
    renamed,
    reseal,
)
from tuning import adapter_files
from tuning.adapter_files import (
    CARD,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    AdapterRefused,
    adapter_kind,
    manifest_hash,
    read_notes,
    rewrite_texts,
    save_adapter,
    verify_adapter,
    write_notes,
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


def test_release_notes_are_in_the_card_once(folder, tiny_base):
    assert read_notes(folder) == ""
    before = (folder / CARD).read_text()
    first = write_notes(folder, "Worse.\n")
    assert write_notes(folder, "Better.\n") == manifest_hash(folder) != first
    assert read_notes(folder) == "Better."
    card = (folder / CARD).read_text()
    assert card.startswith(before.rstrip()) and "Worse" not in card
    verify_adapter(folder, tiny_base.fingerprint, expected_manifest=manifest_hash(folder))
    assert read_notes(folder / "gone") == ""


def test_nothing_names_the_place_it_was_made_in(saved, tiny_base):
    text = (
        (saved / CONFIG).read_text() + (saved / MANIFEST).read_text() + (saved / CARD).read_text()
    )
    assert str(tiny_base.folder) not in text
    assert json.loads((saved / CONFIG).read_text())["base_model_name_or_path"] is None


def test_a_gguf_form_beside_it_is_allowed(folder, tiny_base):
    (folder / "adapter.gguf").write_bytes(b"GGUF")
    (folder / "parity.json").write_text("{}")  # what an export leaves
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


@pytest.mark.parametrize("spoil, reason", PLAIN.values(), ids=PLAIN.keys())
def test_a_changed_folder_is_refused(folder, tmp_path, tiny_base, spoil, reason):
    spoil(folder, tmp_path)
    with pytest.raises(AdapterRefused) as refused:
        verify_adapter(folder, tiny_base.fingerprint)
    assert refused.value.reason == reason
    assert str(folder) in str(refused.value)


def refused(folder, base, **more):
    with pytest.raises(AdapterRefused) as caught:
        verify_adapter(folder, base.fingerprint, base_folder=base.folder, **more)
    return caught.value


@pytest.mark.parametrize("spoil, reason", RESEALED.values(), ids=RESEALED.keys())
def test_a_fitting_manifest_does_not_help(folder, tiny_base, spoil, reason):
    before = manifest_hash(folder)
    with np.errstate(all="ignore"):
        spoil(folder)
    reseal(folder)
    assert refused(folder, tiny_base).reason == reason
    assert refused(folder, tiny_base, expected_manifest=before).reason == "manifest"


def test_what_is_refused_is_told_apart(saved, tiny_base, tmp_path):
    """Reasons are few; the sentences name what was found."""
    told = {}
    for name, (spoil, _) in RESEALED.items():
        copy = shutil.copytree(saved, tmp_path / "one")
        with np.errstate(all="ignore"):
            spoil(copy)
        reseal(copy)
        told[name] = str(refused(copy, tiny_base))
        shutil.rmtree(copy)
    assert len(set(told.values())) >= 28


@pytest.fixture(scope="module", params=["rslora", "dora", "ia3", "bottleneck"])
def other(request, tiny_base, tmp_path_factory):
    """(kind, folder) of a good adapter that is no plain LoRA."""
    place = tmp_path_factory.mktemp(request.param)
    weights = make_tiny_adapter(tiny_base, place / "weights", kind=request.param)
    save(weights, place / "adapter", tiny_base)
    return request.param, place / "adapter"


def test_every_kind_verifies(other, tiny_base):
    kind, folder = other
    assert verify_adapter(folder, tiny_base.fingerprint, base_folder=tiny_base.folder)
    assert adapter_kind(folder) == kind


ANY_KIND = {
    "NaN": (lambda f: change_weights(f, lambda n, v: v * np.nan), "values"),
    "half the tensors": (lambda f: kept(f, lambda i: i % 2), "half"),
    "other names": (lambda f: renamed(f, "mlp.down_proj", "mlp.down"), "names"),
    "other shapes": (lambda f: change_weights(f, lambda n, v: v[:3].copy()), "shapes"),
    "a pattern for targets": (lambda f: change_config(f, target_modules="(a+)+$"), "targets"),
    "whole layers": (lambda f: change_config(f, modules_to_save=["lm_head"]), "config"),
    "auto mapping": (lambda f: change_config(f, auto_mapping={"a": "b"}), "config"),
    "another kind": (lambda f: change_config(f, peft_type="OFT"), "kind"),
}


@pytest.mark.parametrize("spoil, reason", ANY_KIND.values(), ids=ANY_KIND.keys())
def test_every_kind_is_refused_when_spoilt(other, tiny_base, tmp_path, spoil, reason):
    kind, saved = other
    folder = shutil.copytree(saved, tmp_path / "adapter")
    spoil(folder)
    reseal(folder)
    assert refused(folder, tiny_base).reason == reason


@pytest.mark.parametrize(
    "kind, change, reason",
    [
        ("bottleneck", {"width": 10**9}, "rank"),
        ("bottleneck", {"width": 5}, "shapes"),
        ("bottleneck", {"width": "4"}, "rank"),
        ("ia3", {"feedforward_modules": "(a+)+$"}, "targets"),
        ("ia3", {"feedforward_modules": ["down_proj"]}, "shapes"),
        ("ia3", {"init_ia3_weights": "x"}, "config"),
        ("dora", {"use_dora": False}, "names"),
        ("rslora", {"use_rslora": "yes"}, "config"),
    ],
)
def test_settings_of_one_kind(tiny_base, tmp_path, kind, change, reason):
    weights = make_tiny_adapter(tiny_base, tmp_path / "weights", kind=kind)
    save(weights, tmp_path / "adapter", tiny_base)
    change_config(tmp_path / "adapter", **change)
    reseal(tmp_path / "adapter")
    assert refused(tmp_path / "adapter", tiny_base).reason == reason


def test_stock_peft_takes_what_is_refused_here(saved, tiny_base, tmp_path):
    """Why there is a check at all: from_pretrained says nothing to any of these."""
    for name in ("NaN", "every second tensor", "one layer less", "other names", "float64"):
        folder = shutil.copytree(saved, tmp_path / name)
        with np.errstate(all="ignore"):
            RESEALED[name][0](folder)
        model = AutoModelForCausalLM.from_pretrained(tiny_base.folder)
        PeftModel.from_pretrained(model, folder)
        reseal(folder)
        assert refused(folder, tiny_base)


def test_an_adapter_for_another_base_is_refused_by_its_fingerprint(saved):
    with pytest.raises(AdapterRefused, match="another|made for the base") as refused:
        verify_adapter(saved, "0" * 64)
    assert refused.value.reason == "base"


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"HEADS": 4, "INNER": 192}, "shapes"),
        ({"LAYERS": 3}, "half"),
        ({"LAYERS": 1}, "names"),
    ],
)
def test_an_adapter_for_a_base_of_another_form(saved, tmp_path, monkeypatch, change, reason):
    """The fingerprint in its manifest was changed, too."""
    for name, value in change.items():
        monkeypatch.setattr(tiny, name, value)
    base = tiny.make_tiny_base(tmp_path / "base")
    folder = shutil.copytree(saved, tmp_path / "adapter")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "base_fingerprint": base.fingerprint}))
    with pytest.raises(AdapterRefused) as refused:
        verify_adapter(folder, base.fingerprint, base_folder=base.folder)
    assert refused.value.reason == reason


def test_a_card_is_rewritten_for_an_erasure_and_the_adapter_still_verifies(folder, tiny_base):
    before = manifest_hash(folder)
    changed = rewrite_texts(folder, lambda text: text.replace("0.01", "0.02"))
    assert changed != before and changed == manifest_hash(folder)
    manifest = verify_adapter(folder, tiny_base.fingerprint, expected_manifest=changed)
    assert manifest.metrics == {"loss": 0.02}
    with pytest.raises(AdapterRefused, match="not the one that was saved"):
        verify_adapter(folder, tiny_base.fingerprint, expected_manifest=before)


def test_a_card_that_was_half_rewritten_is_mended_by_rewriting_it_again(folder, tiny_base):
    card = folder / CARD  # first of the two files; a crash left the manifest as it was
    card.write_text(card.read_text().replace("round", "turn"))
    with pytest.raises(AdapterRefused):
        verify_adapter(folder, tiny_base.fingerprint)
    changed = rewrite_texts(folder, lambda text: text)
    verify_adapter(folder, tiny_base.fingerprint, expected_manifest=changed)
