"""How the base is held while it trains."""

import torch
from bitsandbytes.nn import Linear4bit

from tuning.config import RoundConfig
from tuning.methods import load_base


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
