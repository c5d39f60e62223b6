"""A method of our own among PEFT's: its calls do with it what they do with theirs."""

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from storage.errors import BadInput
from tests.tiny import make_tiny_adapter
from tuning.bottleneck import BottleneckConfig, BottleneckLayer
from tuning.config import RoundConfig
from tuning.methods import load_base, peft_config

IDS = torch.tensor([[1, 5, 9, 20, 33]])


def say(model):
    with torch.no_grad():
        return model(IDS.to(model.device)).logits.cpu()


def wrapped(base, **dials):
    config = RoundConfig(method="bottleneck", width=8, **dials)
    model = load_base(base.folder, config)
    return get_peft_model(model, peft_config(config, model))


def test_it_says_nothing_until_it_is_trained(tiny_base):
    model = load_base(tiny_base.folder, RoundConfig(method="bottleneck"))
    before = say(model)
    after = say(get_peft_model(model, BottleneckConfig(target_modules=["down_proj"])))
    assert torch.equal(before, after)


def test_it_sits_behind_the_sublayers_that_are_asked_for(tiny_base):
    for placement, names in {"pfeiffer": {"down_proj"}, "houlsby": {"down_proj", "o_proj"}}.items():
        model = wrapped(tiny_base, placement=placement)
        found = {name for name, one in model.named_modules() if isinstance(one, BottleneckLayer)}
        assert {name.split(".")[-1] for name in found} == names
        assert len(found) == 2 * len(names)  # the tiny base has two blocks
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert trained and all(".bottleneck_" in name for name in trained)
    upper = wrapped(tiny_base, layers=0.5)
    assert sum(isinstance(one, BottleneckLayer) for one in upper.modules()) == 1


def test_several_at_once_change_over_and_leave(tiny_base, tmp_path):
    folders = [
        make_tiny_adapter(tiny_base, tmp_path / name, seed=seed, kind="bottleneck")
        for seed, name in enumerate(("a", "b"))
    ]
    base = load_base(tiny_base.folder, RoundConfig(method="bottleneck"))
    pure = say(base)
    model = PeftModel.from_pretrained(base, folders[0], adapter_name="a").eval()
    alone = say(model)
    model.load_adapter(folders[1], "b")
    assert torch.equal(say(model), alone), "an adapter that is only loaded says nothing"
    model.set_adapter("b")
    other = say(model)
    assert not torch.allclose(other, alone, atol=1e-2)
    with model.disable_adapter():
        assert torch.equal(say(model), pure)
    assert torch.equal(say(model), other)
    model.delete_adapter("b")
    model.set_adapter("a")
    assert torch.equal(say(model), alone)
    assert torch.equal(say(model.unload()), pure)


def test_it_comes_back_as_it_was_saved(tiny_base, tmp_path):
    model = wrapped(tiny_base, placement="houlsby")
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "bottleneck_" in name:
                values += torch.randn_like(values) * 0.1
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert len(tensors) == 2 * 2 * 4  # two blocks, two places, two layers with weight and bias
    base = load_base(tiny_base.folder, RoundConfig(method="bottleneck"))
    assert torch.equal(say(PeftModel.from_pretrained(base, tmp_path)), say(model))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_packed_base_is_left_as_it_is(tiny_base, tmp_path, quantization):
    folder = make_tiny_adapter(tiny_base, tmp_path / "a", kind="bottleneck")
    base = load_base(tiny_base.folder, RoundConfig(method="qlora", quantization=quantization))
    pure = say(base)
    model = PeftModel.from_pretrained(base, folder, is_trainable=True)
    assert not torch.allclose(say(model), pure, atol=1e-2)
    model(IDS.to(model.device)).logits.float().sum().backward()
    learns = {name for name, one in model.named_parameters() if one.grad is not None}
    assert learns and all(".bottleneck_" in name for name in learns)
    with model.disable_adapter():
        assert torch.allclose(say(model), pure, atol=1e-5)


def test_a_base_that_it_does_not_know(tiny_base):
    base = load_base(tiny_base.folder, RoundConfig(method="bottleneck"))
    with pytest.raises(ValueError, match="no linear layer"):
        get_peft_model(base, BottleneckConfig(target_modules=["mlp"]))
    for layer in base.model.layers:
        layer.mlp.strange = layer.mlp.down_proj
        del layer.mlp.down_proj
    with pytest.raises(BadInput, match="does not know where to sit"):
        peft_config(RoundConfig(method="bottleneck"), base)
