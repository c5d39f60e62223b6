"""How the base is held while it trains."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit

from tuning.config import RoundConfig
from tuning.methods import load_base

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU keeps the base packed")


def test_weights_that_are_unpacked_once_are_the_packed_ones(tiny_base):
    config = RoundConfig(method="qlora")
    packed = load_base(tiny_base.folder, config, memory=0)
    unpacked = load_base(tiny_base.folder, config, memory=1 << 40)
    exact = load_base(tiny_base.folder, RoundConfig(method="lora"))
    ids = torch.tensor([[1, 5, 9, 20]])
    with torch.inference_mode():
        logits = [model(ids).logits for model in (packed, unpacked, exact)]
    assert any(isinstance(module, Linear4bit) for module in packed.modules())
    assert not any(isinstance(module, Linear4bit) for module in unpacked.modules())
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits[1], logits[2], atol=1e-3), "it was not quantised at all"
