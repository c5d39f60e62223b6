"""A PEFT adapter's GGUF form; that it answers rightly is tested in test_protocol."""

import json
import shutil

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from peft import PeftModel
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from assistant.engines.llamacpp import LlamaCpp
from assistant.engines.lora_gguf import OTHER_KINDS, adapter_gguf
from storage.conversion import to_half_split
from storage.errors import BadInput
from tests.assistant.engines.asking import ask, text_of
from tests.tiny import make_tiny_adapter


@pytest.fixture
def adapter(tiny_adapters, tmp_path):
    folder = shutil.copytree(tiny_adapters[1], tmp_path / "adapter")
    (folder / "adapter.gguf").unlink(missing_ok=True)
    return folder


def test_every_tensor_is_there_in_llama_cpps_order(adapter, tiny_base):
    file = adapter_gguf(adapter, tiny_base.folder)
    assert file == adapter / "adapter.gguf"
    reader = GGUFReader(file)
    written = {tensor.name: tensor for tensor in reader.tensors}
    theirs = load_file(adapter / "adapter_model.safetensors")
    assert len(written) == len(theirs)
    key = "base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight"
    k = written["blk.1.attn_k.weight.lora_b"].data.astype(np.float32)
    np.testing.assert_allclose(to_half_split(k, 2), theirs[key], rtol=1e-3, atol=1e-4)
    assert float(reader.get_field("adapter.lora.alpha").contents()) == 8.0


def test_it_is_made_once_and_nothing_else_is_left(adapter, tiny_base):
    before = {path.name for path in adapter.iterdir()}
    file = adapter_gguf(adapter, tiny_base.folder)
    stamp = file.stat().st_mtime_ns
    assert adapter_gguf(adapter, tiny_base.folder).stat().st_mtime_ns == stamp
    assert {path.name for path in adapter.iterdir()} == before | {"adapter.gguf"}


def test_rank_stabilised_lora_has_another_scale(adapter, tiny_base):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": True}))
    reader = GGUFReader(adapter_gguf(adapter, tiny_base.folder))
    # llama.cpp divides by the rank 4, rsLoRA by its root 2.
    assert float(reader.get_field("adapter.lora.alpha").contents()) == 16.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bias", "all"),
        ("modules_to_save", ["lm_head"]),
        ("rank_pattern", {"q_proj": 2}),
        ("peft_type", "VERA"),
    ],
)
def test_other_settings_are_refused(adapter, tiny_base, key, value):
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(BadInput, match=f"{key}|VERA"):
        adapter_gguf(adapter, tiny_base.folder)
    assert not list(adapter.glob("*.gguf")) and not list(adapter.glob(".adapter*"))


@pytest.mark.parametrize("kind, name", OTHER_KINDS.items())
def test_kinds_without_a_form_are_refused_by_name(tiny_base, tmp_path, kind, name):
    folder = make_tiny_adapter(tiny_base, tmp_path / kind, kind=kind)
    (folder / "adapter.gguf").write_bytes(b"left there by somebody")
    with pytest.raises(BadInput, match=f"is a {name} adapter, which llama.cpp cannot.*ENGINE=auto"):
        adapter_gguf(folder, tiny_base.folder)


def test_rank_stabilised_lora_answers_as_by_peft(tiny_base, tmp_path, prompts, tokenizer):
    """The scale is right in llama.cpp's arithmetic, not in the file alone."""
    folder = make_tiny_adapter(tiny_base, tmp_path / "rs", seed=3, kind="rslora", strength=0.05)
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder).eval()
    ids = torch.tensor([prompts[0]])
    with torch.inference_mode():
        made = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=[0, 2])
    engine = LlamaCpp(tiny_base, threads=1, context=256)
    engine.load(1, folder)
    said = text_of(ask(engine, prompts[0], 1, 12))
    engine.close()
    assert said == tokenizer.decode(made[0, ids.shape[1] :].tolist()).rstrip("\ufffd")


def test_a_tensor_that_llama_cpp_has_no_place_for(adapter, tiny_base):
    path = adapter / "adapter_model.safetensors"
    odd = {"base_model.model.lm_head.lora_A.weight": np.zeros((4, 64), np.float32)}
    save_file({**load_file(path), **odd}, path)
    with pytest.raises(BadInput, match="lm_head"):
        adapter_gguf(adapter, tiny_base.folder)


def test_large_values_stay_finite(adapter, tiny_base):
    path = adapter / "adapter_model.safetensors"
    save_file({name: values * 1e6 for name, values in load_file(path).items()}, path)
    for tensor in GGUFReader(adapter_gguf(adapter, tiny_base.folder)).tensors:
        assert np.isfinite(tensor.data).all()
