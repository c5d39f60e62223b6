"""Whether a base fits into memory unpacked."""

from safetensors.numpy import load_file

from tuning.memory import SHARE, fits, unpacked_bytes


def test_a_base_takes_four_bytes_a_weight(tiny_base):
    weights = load_file(tiny_base.folder / "model.safetensors")
    assert unpacked_bytes(tiny_base.folder) == 4 * sum(one.size for one in weights.values())


def test_it_fits_where_a_share_of_the_memory_holds_it(tiny_base):
    needed = unpacked_bytes(tiny_base.folder) / SHARE
    assert fits(tiny_base.folder, int(needed * 1.01))
    assert not fits(tiny_base.folder, int(needed * 0.99))
    assert fits(tiny_base.folder), "this machine has less memory than a model of two layers takes"
