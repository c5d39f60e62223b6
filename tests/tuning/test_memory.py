"""Whether a base fits into memory unpacked."""

from safetensors.numpy import load_file

from tuning.config import RoundConfig
from tuning.memory import SHARE, fits, training_bytes, unpacked_bytes, values_a_token


def test_a_base_takes_four_bytes_a_weight(tiny_base):
    weights = load_file(tiny_base.folder / "model.safetensors")
    assert unpacked_bytes(tiny_base.folder) == 4 * sum(one.size for one in weights.values())


def test_it_fits_where_a_share_of_the_memory_holds_it(tiny_base):
    needed = unpacked_bytes(tiny_base.folder) / SHARE
    assert fits(tiny_base.folder, int(needed * 1.01))
    assert not fits(tiny_base.folder, int(needed * 0.99))
    assert fits(tiny_base.folder), "this machine has less memory than a model of two layers takes"


def test_what_a_round_takes(tiny_base):
    """The 135M base: 30 layers of 576; measured 2.5 to 3.3 GB."""
    weights, values = 4 * 134_515_008, 30 * 576
    lora = training_bytes(weights, values, RoundConfig(method="lora"))
    assert 2.5e9 < lora < 3.3e9
    assert training_bytes(weights, values, RoundConfig(method="qlora")) < lora
    short = RoundConfig(method="lora", step_tokens=384)
    assert lora - training_bytes(weights, values, short) == 384 * 1_800_000
    assert values_a_token(tiny_base.folder) == 2 * 64
