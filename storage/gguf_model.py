"""A Llama's weights as a GGUF file that llama.cpp serves: the other direction of `conversion.py`.

The vocabulary is copied from the base's own GGUF where it has one; else it is written from
tokenizer.json, for the ways of cutting text that llama.cpp knows and we can tell from each other.
Matrices become float16 or q8_0, vectors stay float32, as llama.cpp's own converter has it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from gguf import (
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
    TokenType,
)
from gguf.quants import quant_shape_to_byte_shape, quantize
from safetensors import safe_open

from storage.conversion import DIGITS_THEN_BYTES, LAYER_NAMES, TOP_NAMES, to_interleaved
from storage.errors import BadInput
from storage.models import chat_template

QUANTIZATIONS = {
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
Q8_0_BLOCK = 32
"""Values that share a scale in q8_0: a row must be cut into whole blocks."""
_OWN_KEYS = ("GGUF.", "general.architecture", "general.file_type", "general.quantization_version")
_LLAMA3_CUT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
_BYTES = {"add_prefix_space": False, "use_regex": True}
"""tokenizers' defaults of a ByteLevel cut where a file says nothing."""
_AS_USUAL = {"trim_offsets": True}
"""Concerns places in the text, not ids: no difference."""


@dataclass(frozen=True)
class Weight:
    """One tensor under transformers' name; `read` gives its values when they are written."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def weights_of(safetensors: Path) -> Iterator[Weight]:
    """The tensors of a safetensors file, each read when it is written."""
    with safe_open(safetensors, framework="numpy") as file:
        names = file.keys()
        shapes = [tuple(file.get_slice(name).get_shape()) for name in names]
    for name, shape in zip(names, shapes, strict=True):
        yield Weight(name, shape, partial(_tensor, safetensors, name))


def _tensor(safetensors: Path, name: str) -> np.ndarray:
    with safe_open(safetensors, framework="numpy") as file:
        return np.asarray(file.get_tensor(name))


def check_can_be_gguf(folder: Path, gguf: Path | None) -> None:
    """Raises BadInput, with the remedy, for a base whose weights cannot be written as GGUF here.

    `folder` is its canonical folder, `gguf` its own GGUF if it has one.
    """
    config = _read(folder / "config.json")
    if config.get("model_type") != "llama":
        raise BadInput(
            f"The base model has the architecture {config.get('model_type')!r}; only 'llama' is "
            "written as GGUF here: export --format merged and convert that with llama.cpp."
        )
    if gguf is None and (config.get("rope_scaling") or _scaled(config.get("rope_parameters"))):
        raise BadInput(
            "The base model stretches its positions (rope scaling), which is not written as GGUF "
            "here: export --format merged and convert that with llama.cpp."
        )
    if gguf is None:
        _cut(_read(folder / "tokenizer.json"))


def write_model_gguf(
    target: Path,
    weights: Iterable[Weight],
    folder: Path,
    *,
    gguf: Path | None = None,
    quantization: str = "f16",
    name: str = "",
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write `target`: one tensor in memory at a time.

    `folder` holds the base's config, tokenizer and chat template, `gguf` is the base's own GGUF.
    `on_tensor(done, total)` is called after each tensor. Raises BadInput for what
    `check_can_be_gguf` refuses and for a weight that llama.cpp has no place for.
    """
    check_can_be_gguf(folder, gguf)
    kind, file_type = QUANTIZATIONS[quantization]
    config = _read(folder / "config.json")
    writer = GGUFWriter(target, "llama")
    base = GGUFReader(gguf) if gguf else None
    if base:
        _copy_description(writer, base)
    else:
        _describe(writer, config)
        _add_vocabulary(writer, folder)
    writer.add_file_type(int(file_type))
    if name:
        writer.add_name(name)
    todo = [(_gguf_name(one.name), one, _kind(one.shape, kind)) for one in weights]
    for gguf_name, one, own in todo:
        size, dtype = _shape(one.shape, own), _numpy(own)
        writer.add_tensor_info(gguf_name, size, dtype, prod(size) * dtype.itemsize, raw_dtype=own)
    extra = _other_tensors(writer, base, {gguf_name for gguf_name, _, _ in todo})
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (_, one, own) in enumerate(todo, start=1):
        writer.write_tensor_data(_values(one, own, config))
        on_tensor(done, len(todo))
    for data in extra:
        writer.write_tensor_data(data)
    writer.close()


def _kind(shape: tuple[int, ...], wanted: GGMLQuantizationType) -> GGMLQuantizationType:
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    if wanted is GGMLQuantizationType.Q8_0 and shape[-1] % Q8_0_BLOCK:
        return GGMLQuantizationType.F16
    return wanted


def _shape(shape: tuple[int, ...], kind: GGMLQuantizationType) -> tuple[int, ...]:
    if kind is GGMLQuantizationType.Q8_0:
        return tuple(quant_shape_to_byte_shape(shape, kind))
    return shape


def _numpy(kind: GGMLQuantizationType) -> "np.dtype[Any]":
    plain = {GGMLQuantizationType.F32: "float32", GGMLQuantizationType.F16: "float16"}
    return np.dtype(plain.get(kind, "uint8"))


def _values(one: Weight, kind: GGMLQuantizationType, config: Mapping[str, Any]) -> np.ndarray:
    values = one.read().astype(np.float32, copy=False)
    heads = int(config["num_attention_heads"])
    heads_of = {"q_proj": heads, "k_proj": int(config.get("num_key_value_heads") or heads)}
    module = one.name.split(".")[-2]
    if module in heads_of:
        values = to_interleaved(values, heads_of[module])
    return np.ascontiguousarray(quantize(values, kind))


def _gguf_name(name: str) -> str:
    top = {theirs: ours for ours, theirs in TOP_NAMES.items()}
    if name in top:
        return top[name]
    parts = {theirs: ours for ours, theirs in LAYER_NAMES.items()}
    words = name.split(".")
    module, leaf = ".".join(words[3:-1]), words[-1]
    if words[:2] != ["model", "layers"] or module not in parts or leaf != "weight":
        raise BadInput(
            f"The model holds {name!r}, which a GGUF of a plain Llama has no place for: export "
            "--format merged and convert that with llama.cpp."
        )
    return f"blk.{words[2]}.{parts[module]}.weight"


def _copy_description(writer: GGUFWriter, base: GGUFReader) -> None:
    """Every key of the base's own GGUF but those about how its weights are kept."""
    for field in base.fields.values():
        if field.name.startswith(_OWN_KEYS) or field.name == "general.name":
            continue
        inner = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)


def _other_tensors(
    writer: GGUFWriter, base: GGUFReader | None, known: set[str]
) -> list[np.ndarray]:
    """What the base's GGUF has beyond weights (rope factors), announced; its data to be written.

    A tied base may keep a copy of its embeddings as output, which the merged one has no need of.
    """
    found = []
    for tensor in base.tensors if base else ():
        if tensor.name in known or tensor.name == "output.weight":
            continue
        data = np.ascontiguousarray(tensor.data)
        writer.add_tensor_info(
            tensor.name, data.shape, data.dtype, data.nbytes, raw_dtype=tensor.tensor_type
        )
        found.append(data)
    return found


def _describe(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    heads = int(config["num_attention_heads"])
    rope = config.get("rope_parameters") or config
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10000.0)))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_vocabulary(writer: GGUFWriter, folder: Path) -> None:
    described, size = _read(folder / "tokenizer.json"), _read(folder / "config.json")["vocab_size"]
    settings = _read(folder / "tokenizer_config.json")
    added = {token["id"]: token for token in described["added_tokens"]}
    words = {index: word for word, index in described["model"]["vocab"].items()}
    words |= {index: token["content"] for index, token in added.items()}
    merges = described["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_cut(described))
    writer.add_token_list([words.get(index, f"[PAD{index}]") for index in range(size)])
    writer.add_token_types([_token_type(added.get(index), index in words) for index in range(size)])
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    writer.add_chat_template(chat_template(folder))
    ids = {word: index for index, word in words.items()}
    adders = {"bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id}
    adders |= {"unk": writer.add_unk_token_id, "pad": writer.add_pad_token_id}
    for key, add in adders.items():
        named = settings.get(f"{key}_token")
        index = ids.get(named["content"] if isinstance(named, dict) else named)
        if index is not None:
            add(index)
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))


def _token_type(added: Mapping[str, Any] | None, known: bool) -> int:
    if added is None:
        return int(TokenType.NORMAL if known else TokenType.UNUSED)
    return int(TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED)


def _cut(described: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a tokenizer cuts text before it merges bytes.

    A wrong name gives other ids for the same text without an error, so what is not recognised is
    refused.
    """
    cut = described.get("pre_tokenizer") or {}
    steps = cut.get("pretokenizers", [cut])
    plain = [
        {**_BYTES, **step, **_AS_USUAL} if step.get("type") == "ByteLevel" else step
        for step in steps
    ]
    usual = list(DIGITS_THEN_BYTES["pretokenizers"])
    if described["model"].get("type") == "BPE" and not described["model"].get("byte_fallback"):
        if plain == usual:
            return "smollm"
        if plain == usual[1:]:
            return "gpt-2"
        pattern = str((steps[0].get("pattern") or {}).get("Regex", ""))
        if pattern.startswith(_LLAMA3_CUT):
            return "llama-bpe"
    raise BadInput(
        "The base model cuts text in a way that is not written as GGUF here: export --format "
        "merged and convert that with llama.cpp."
    )


def _scaled(rope: Mapping[str, Any] | None) -> bool:
    return bool(rope) and (rope or {}).get("rope_type", "default") != "default"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
