"""What each kind of adapter may hold; that folders are refused by it is in test_adapter_files."""

import pytest

from tests.tiny import adapter_config
from tuning.adapter_kinds import Unfit, check_against_base, check_config, check_tensors, kind_of

BASE = {
    "model.embed_tokens.weight": (100, 8),
    "model.layers.0.self_attn.k_proj.weight": (4, 8),
    "model.layers.0.self_attn.k_proj.bias": (4,),
    "model.layers.0.mlp.down_proj.weight": (8, 16),
    "model.layers.1.self_attn.k_proj.weight": (4, 8),
    "model.layers.1.mlp.down_proj.weight": (8, 16),
    "model.norm.weight": (8,),
    "lm_head.weight": (100, 8),
}
K, DOWN = (
    f"base_model.model.model.layers.1.{name}" for name in ("self_attn.k_proj", "mlp.down_proj")
)


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "ia3", "bottleneck"])
def test_a_kind_is_known_by_its_config(kind):
    config = adapter_config(4, ["k_proj"], kind)
    assert check_config(config) == kind_of(config) == kind


def test_new_settings_of_peft_may_be_there_as_long_as_they_are_off():
    config = adapter_config(4, ["k_proj"])
    assert check_config({**config, "of_tomorrow": None, "another": False, "third": {}}) == "lora"
    for value in (1, True, "x", ["x"], {"a": 1}, 0):
        with pytest.raises(Unfit, match="of_tomorrow"):
            check_config({**config, "of_tomorrow": value})


def one_layer(kind, **more):
    return {**adapter_config(4, ["k_proj", "down_proj"], kind), "layers_to_transform": [1], **more}


WHOLE = {
    "lora": {
        f"{K}.lora_A.weight": (4, 8),
        f"{K}.lora_B.weight": (4, 4),
        f"{DOWN}.lora_A.weight": (4, 16),
        f"{DOWN}.lora_B.weight": (8, 4),
    },
    "bottleneck": {
        f"{module}.bottleneck_{part}": shape
        for module, size in ((K, 4), (DOWN, 8))
        for part, shape in {
            "down.weight": (4, size),
            "down.bias": (4,),
            "up.weight": (size, 4),
            "up.bias": (size,),
        }.items()
    },
}
WHOLE["dora"] = {
    **WHOLE["lora"],
    f"{K}.lora_magnitude_vector": (4,),
    f"{DOWN}.lora_magnitude_vector": (8,),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_an_adapters_tensors_follow_from_its_config_and_the_base(kind):
    config, shapes = one_layer(kind), WHOLE[kind]
    check_tensors(config, shapes)
    check_against_base(config, shapes, BASE)
    for name in shapes:
        with pytest.raises(Unfit) as found:
            check_against_base(config, {n: s for n, s in shapes.items() if n != name}, BASE)
        assert found.value.reason == "half"
        with pytest.raises(Unfit) as found:
            check_against_base(config, {**shapes, name: (*shapes[name][:-1], 99)}, BASE)
        assert found.value.reason == "shapes"


def test_ia3_weighs_what_goes_into_the_feed_forward_network_and_what_comes_out_elsewhere():
    names = ["model.layers.1.self_attn.k_proj", "model.layers.1.mlp.down_proj"]
    config = {**adapter_config(4, names, "ia3"), "feedforward_modules": ["down_proj"]}
    shapes = {f"{K}.ia3_l": (4, 1), f"{DOWN}.ia3_l": (1, 16)}
    check_tensors(config, shapes)
    check_against_base(config, shapes, BASE)
    with pytest.raises(Unfit):
        check_against_base({**config, "feedforward_modules": []}, shapes, BASE)


def test_the_output_layer_and_the_embeddings_are_never_targets():
    config = adapter_config(4, ["lm_head"])
    shapes = {
        "base_model.model.lm_head.lora_A.weight": (4, 8),
        "base_model.model.lm_head.lora_B.weight": (100, 4),
    }
    with pytest.raises(Unfit, match="does not have"):
        check_against_base(config, shapes, BASE)
