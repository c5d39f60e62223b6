"""How the base is held while it trains."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from storage.errors import BadInput
from tuning.config import RoundConfig
from tuning.methods import load_base, peft_config


def test_a_look_in_eval_mode_leaves_the_gradient_as_it_was(tiny_base):
    base = load_base(tiny_base.folder, RoundConfig(method="qlora"))
    ids = torch.arange(5, 12, device=base.device)[None]
    begun = base.get_input_embeddings()(ids).detach().requires_grad_()

    def slope():
        base.train()
        return torch.autograd.grad(base(inputs_embeds=begun).logits[0, -1, 7], begun)[0]

    before = slope()
    base.eval()
    with torch.no_grad():
        base(input_ids=ids)
    assert before.abs().max() > 0 and torch.equal(slope(), before)


def test_qlora_holds_the_base_in_four_bits_and_lora_as_it_is(tiny_base):
    packed, exact = (
        load_base(tiny_base.folder, RoundConfig(method=method)) for method in ("qlora", "lora")
    )
    in_4_bits = [module for module in packed.modules() if isinstance(module, Linear4bit)]
    assert len(in_4_bits) == 14  # seven linear layers in each of two blocks
    assert {module.weight.quant_state.quant_type for module in in_4_bits} == {"nf4"}
    assert not any(isinstance(module, Linear4bit) for module in exact.modules())
    ids = torch.tensor([[1, 5, 9, 20]])
    with torch.inference_mode():
        logits = [model(ids.to(model.device)).logits.cpu() for model in (packed, exact)]
    assert not torch.allclose(*logits, atol=1e-3), "nf4 was as good as fp32"


def test_int8_is_nearer_to_the_base_than_nf4(tiny_base):
    ids = torch.tensor([[1, 5, 9, 20]])
    said = {}
    for name, dials in {
        "exact": {"method": "lora"},
        "nf4": {"method": "qlora"},
        "int8": {"method": "qlora", "quantization": "int8"},
    }.items():
        model = load_base(tiny_base.folder, RoundConfig(**dials))
        with torch.inference_mode():
            said[name] = model(ids.to(model.device)).logits.float().cpu()
    away = {name: (said[name] - said["exact"]).abs().mean() for name in ("nf4", "int8")}
    assert 0 < away["int8"] < away["nf4"]


def test_methods_take_the_places_of_their_papers(tiny_base):
    base = load_base(tiny_base.folder, RoundConfig(method="lora"))
    found = {
        method: peft_config(RoundConfig(method=method), base)
        for method in ("lora", "dora", "rslora", "ia3", "bottleneck")
    }
    assert {method: len(one.target_modules) for method, one in found.items()} == {
        **dict.fromkeys(("lora", "dora", "rslora"), 7),
        "ia3": 3,
        "bottleneck": 1,
    }
    assert (found["dora"].use_dora, found["rslora"].use_dora) == (True, False)
    assert (found["dora"].use_rslora, found["rslora"].use_rslora) == (False, True)
    assert set(found["ia3"].feedforward_modules) == {"down_proj"}


def test_ia3_does_not_guess(tiny_base):
    base = load_base(tiny_base.folder, RoundConfig(method="lora"))
    base.config.model_type = "strange"
    with pytest.raises(BadInput, match="--set target_modules"):
        peft_config(RoundConfig(method="ia3"), base)
    named = RoundConfig(method="ia3", target_modules="k_proj, down_proj")
    assert set(peft_config(named, base).target_modules) == {"k_proj", "down_proj"}
