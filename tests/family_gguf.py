"""The GGUF of a tiny base as llama.cpp's own converter would write it.

Tensors are named by the `gguf` package's own map and not by ours, so that what a test compares
was not made by what it tests.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map
from safetensors.numpy import load_file

from storage.conversion import to_interleaved
from storage.models import BaseModel
from tests.tiny import add_tokenizer

ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "smollm3": MODEL_ARCH.SMOLLM3,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
    "phi3": MODEL_ARCH.PHI3,
    "gemma3_text": MODEL_ARCH.GEMMA3,
}
PERMUTED = ("llama", "mistral", "smollm3")


def with_gguf(base: BaseModel) -> BaseModel:
    """`base` with a float32 GGUF of the same weights beside them."""
    config = json.loads((base.folder / "config.json").read_text())
    family, layers = config["model_type"], config["num_hidden_layers"]
    target = base.folder / "model.gguf"
    writer = GGUFWriter(target, _name(family))
    _describe(writer, config)
    add_tokenizer(writer, json.loads((base.folder / "tokenizer.json").read_text()))
    names = get_tensor_name_map(ARCHITECTURES[family], layers)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, values in load_file(base.folder / "model.safetensors").items():
        module = name.split(".")[-2]
        if family in PERMUTED and module in heads:
            values = to_interleaved(values, heads[module])
        if family == "gemma3_text" and name.endswith("norm.weight"):
            values = values + np.float32(1)
        gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert gguf_name is not None, name
        writer.add_tensor(gguf_name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return replace(base, gguf=Path(target))


def _name(family: str) -> str:
    return ARCHITECTURES[family].name.lower()


def _describe(writer: GGUFWriter, config: dict[str, Any]) -> None:
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    rope = config["rope_parameters"]
    rope = rope.get("full_attention", rope)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(0)  # all float32
    if config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
