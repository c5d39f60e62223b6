"""Adapters of every kind on one base: each answers as by PEFT alone; weights are held once."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from peft import PeftModel
from peft.tuners.lora.dora import DoraLinearLayer
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from assistant.engines.adapter_models import BASE, MIXED, AdapterModels
from storage.errors import BadInput
from tests.tiny import make_tiny_adapter
from tuning.config import RoundConfig
from tuning.methods import load_base

KINDS = ["lora", "rslora", "dora", "ia3", "bottleneck"]
IDS = torch.tensor([[1, 5, 9, 20, 33]])


def fresh(base):
    return AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def folders(tiny_base, tmp_path_factory):
    """Two adapters of each kind, by name."""
    root = tmp_path_factory.mktemp("kinds")
    return {
        f"{kind}{number}": make_tiny_adapter(
            tiny_base, root / f"{kind}{number}", seed=number, kind=kind
        )
        for kind in KINDS
        for number in (1, 2)
    }


@pytest.fixture(scope="module")
def alone(tiny_base, folders):
    """What plain PEFT says by each adapter, and transformers by none."""
    with torch.inference_mode():
        said = {BASE: fresh(tiny_base)(IDS).logits}
        for name, folder in folders.items():
            said[name] = PeftModel.from_pretrained(fresh(tiny_base), folder).eval()(IDS).logits
    return said


@torch.inference_mode()
def test_each_says_what_it_says_alone_whatever_else_is_loaded(tiny_base, folders, alone):
    models = AdapterModels(fresh(tiny_base))
    for name, folder in folders.items():
        models.load(name, folder)
    assert models.names == folders.keys()
    for name in (*folders, BASE, *reversed(folders)):
        said = models.forward([name], input_ids=IDS).logits
        assert torch.allclose(said, alone[name], atol=1e-4), name
    assert len({round(float(said.sum()), 3) for said in alone.values()}) == 11


@torch.inference_mode()
def test_lora_and_base_share_a_batch_and_the_others_do_not(tiny_base, folders, alone):
    models = AdapterModels(fresh(tiny_base))
    for name, folder in folders.items():
        models.load(name, folder)
    together = [BASE, "lora1", "rslora2", "lora2", BASE]
    assert {models.batch_of(name) for name in together} == {MIXED}
    assert {models.batch_of(name) for name in ("dora1", "dora2", "ia31", "bottleneck2")} == {
        "dora1",
        "dora2",
        "ia31",
        "bottleneck2",
    }
    said = models.forward(together, input_ids=IDS.repeat(5, 1)).logits
    for name, row in zip(together, said, strict=True):
        assert torch.allclose(row, alone[name][0], atol=1e-4)


@torch.inference_mode()
def test_leaving_and_coming_back(tiny_base, folders, alone):
    models = AdapterModels(fresh(tiny_base))
    for kind in KINDS:
        models.load("a", folders[f"{kind}1"])
        models.load("b", folders[f"{kind}2"])
        models.unload("a")
        assert torch.allclose(
            models.forward(["b"], input_ids=IDS).logits, alone[f"{kind}2"], atol=1e-4
        )
        models.unload("b")
        assert models.names == set()
        assert torch.equal(models.forward([BASE], input_ids=IDS).logits, alone[BASE])


@torch.inference_mode()
def test_dora_takes_its_norms_once_and_keeps_nothing_else(tiny_base, folders, alone, monkeypatch):
    models = AdapterModels(fresh(tiny_base))
    models.load("dora1", folders["dora1"])
    models.forward(["dora1"], input_ids=IDS)
    models.load("dora2", folders["dora2"])
    models.forward(["dora2"], input_ids=IDS)
    layers = [one for one in models._models["dora"].modules() if isinstance(one, DoraLinearLayer)]
    kept = [value for layer in layers for value in layer._dora_cache.values() if value.numel()]
    assert [one.shape for one in kept] == [layer.weight.shape for layer in layers] and kept
    taken: list[object] = []
    monkeypatch.setattr(torch.linalg, "norm", taken.append)
    for name in ("dora1", "dora2"):
        said = models.forward([name], input_ids=IDS).logits
        assert torch.allclose(said, alone[name], atol=1e-4)
    assert not taken


def test_the_base_is_held_once(tiny_base, folders):
    base = fresh(tiny_base)
    own = {one.data_ptr() for one in base.parameters()}
    models = AdapterModels(base)
    for name in ("lora1", "dora1", "ia31", "bottleneck1"):
        models.load(name, folders[name])
        for parameter, values in models._models[name[:-1]].named_parameters():
            trained = any(part in parameter for part in ("lora_", "ia3_", "bottleneck_"))
            assert (values.data_ptr() in own) != trained


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused_before_peft_sees_it(tiny_base, tmp_path, kind, alone):
    models = AdapterModels(fresh(tiny_base))
    folder = make_tiny_adapter(tiny_base, tmp_path / "a", kind=kind)
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    for spoilt in (
        {name: values for name, values in tensors.items() if "layers.0" in name},
        {name: values[:3].copy() for name, values in tensors.items()},
        {name.replace("mlp", "ffn"): values for name, values in tensors.items()},
    ):
        save_file(spoilt, path)
        with pytest.raises(BadInput, match="does not fit the base model"):
            models.load("a", folder)
        assert models.names == set()
    with torch.inference_mode():
        assert torch.equal(models.forward([BASE], input_ids=IDS).logits, alone[BASE])


@torch.inference_mode()
@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_base_is_held_once_too(tiny_base, folders, kind):
    def packed():
        return load_base(tiny_base.folder, RoundConfig(method="qlora")).eval()

    base, name = packed(), f"{kind}1"
    ids = IDS.to(base.device)
    pure = base(ids).logits
    expected = PeftModel.from_pretrained(packed(), folders[name]).eval()(ids).logits
    models = AdapterModels(base)
    models.load(name, folders[name])
    assert torch.allclose(models.forward([name], input_ids=ids).logits, expected, atol=1e-3)
    assert torch.allclose(models.forward([BASE], input_ids=ids).logits, pure, atol=1e-5)
    own = {one.data_ptr() for one in base.parameters()}
    copied = models._models["lora" if kind == "rslora" else kind]
    linear = [one for one in copied.modules() if isinstance(one, Linear4bit)]
    bare = [one for one in linear if isinstance(one.weight, Params4bit)]
    assert len(bare) == 14 and all(one.weight.data_ptr() in own for one in bare)
