"""A GGUF model to the canonical folder: safetensors, config, tokenizer and chat template.

Done with numpy, without torch: `from_pretrained(gguf_file=)` takes 37 to 56 s for a 135M model,
this takes about 3 s. Every byte is written here, not by a library whose next version may order or
pad differently, so the fingerprint is the same on every machine. The weights are the GGUF's own
values in float32.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, ReaderTensor, dequantize

from storage.errors import BadInput

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""llama.cpp's names of a layer's tensors, and those of transformers' Llama."""

TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}

DIGITS_THEN_BYTES: dict[str, Any] = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
    ],
}
"""How llama.cpp's pre-tokenizer `smollm` cuts text before the byte pairs are merged."""

CONTROL, USER_DEFINED = 3, 4
"""llama.cpp's token types for tokens that stand for themselves."""


def convert(gguf: Path, folder: Path) -> None:
    """Write the canonical form of `gguf` into the existing `folder`, each file synced to disk.

    Raises BadInput for an architecture other than llama or a tokenizer other than `smollm`.
    """
    reader = GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    architecture, cut = fields.get("general.architecture"), fields.get("tokenizer.ggml.pre")
    if architecture != "llama" or cut != "smollm":
        raise BadInput(
            f"{gguf} has the architecture {architecture!r} with the tokenizer {cut!r}; only "
            "'llama' with 'smollm' can be converted: give a folder with safetensors instead."
        )
    _write_weights(reader, fields, folder / "model.safetensors")
    tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
    _write_json(folder / "config.json", _config(fields, tied))
    _write_json(folder / "generation_config.json", _generation(fields))
    _write_json(folder / "tokenizer.json", _tokenizer(fields))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(fields))
    _write(folder / "chat_template.jinja", fields["tokenizer.chat_template"].encode())


def to_half_split(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a q or k projection from llama.cpp's interleaved rotary order to transformers'.

    `weight` is (heads * head size, inputs). llama.cpp rotates neighbouring pairs (0,1), (2,3)...;
    transformers rotates (0, half), (1, half + 1)...
    """
    rows, inputs = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, inputs)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows, inputs)


def to_interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `to_half_split`: transformers' row order to llama.cpp's."""
    rows, inputs = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, inputs)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows, inputs)


def _write_weights(reader: GGUFReader, fields: dict[str, Any], path: Path) -> None:
    """Write the safetensors file tensor by tensor: one dense tensor in memory at a time."""
    tensors = sorted((_their_name(t.name), t) for t in reader.tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, tensor in tensors:
        end = start + 4 * int(tensor.n_elements)
        shape = [int(size) for size in reversed(tensor.shape)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        start = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for data in _dense(tensors, fields):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _dense(tensors: list[tuple[str, ReaderTensor]], fields: dict[str, Any]) -> Iterator[bytes]:
    heads = fields["llama.attention.head_count"]
    heads_of = {"q_proj": heads, "k_proj": fields.get("llama.attention.head_count_kv", heads)}
    for name, tensor in tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        kind = name.split(".")[-2]
        if kind in heads_of:
            values = to_half_split(values, heads_of[kind])
        yield values.astype("<f4", copy=False).tobytes()


def _their_name(name: str) -> str:
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    _, layer, part, leaf = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.{leaf}"


def _config(fields: dict[str, Any], tied: bool) -> dict[str, Any]:
    heads = fields["llama.attention.head_count"]
    width = fields["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "hidden_size": width,
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
        "head_dim": fields.get("llama.rope.dimension_count", width // heads),
        "hidden_act": "silu",
        "max_position_embeddings": fields["llama.context_length"],
        "rope_theta": float(fields.get("llama.rope.freq_base", 10000.0)),
        "rms_norm_eps": _shortest(fields["llama.attention.layer_norm_rms_epsilon"]),
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        **_generation(fields),
    }


def _shortest(value: float) -> float:
    """The shortest decimal that is the same float32: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _generation(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields.get("tokenizer.ggml.padding_token_id"),
    }


def _tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json, as the `tokenizers` library reads it."""
    tokens = fields["tokenizer.ggml.tokens"]
    types = fields["tokenizer.ggml.token_type"]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": index, "content": token, **plain, "special": kind == CONTROL}
        for index, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: index for index, token in enumerate(tokens)},
        "merges": [merge.split(" ", 1) for merge in fields["tokenizer.ggml.merges"]],
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": DIGITS_THEN_BYTES,
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": model,
    }


def _tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    tokens = fields["tokenizer.ggml.tokens"]
    keys = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    ids = {ours: fields.get(f"tokenizer.ggml.{theirs}_token_id") for ours, theirs in keys.items()}
    named = {f"{key}_token": tokens[index] for key, index in ids.items() if index is not None}
    return {
        **named,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": fields["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write(path, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
