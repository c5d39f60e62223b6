"""A PEFT LoRA adapter to the GGUF form that llama.cpp reads."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter
from safetensors.numpy import load_file

from assistant.engines.families import Family, family_of
from storage.conversion import to_interleaved
from storage.durable import put
from storage.errors import BadInput
from tuning.adapter_kinds import Unfit, kind_of

GGUF_NAME = "adapter.gguf"
TENSOR = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(.+)\.lora_(A|B)\.weight")
PLAIN = {"bias": "none", "fan_in_fan_out": False, "modules_to_save": None}
"""Settings of a LoRA under which two matrices per module are the whole adapter."""
OTHER_KINDS: dict[str, str] = {"dora": "DoRA", "ia3": "IA3", "bottleneck": "bottleneck"}
"""Kinds of adapters that llama.cpp has no form for, as people write them."""


def adapter_gguf(adapter: Path, base: Path) -> Path:
    """The GGUF form of the PEFT adapter in folder `adapter`, written beside it when missing.

    `base` is the canonical folder of its base model. Raises BadInput when the adapter is of a
    kind that llama.cpp cannot serve (DoRA, IA3, bottleneck, trained embeddings) or for a base of a
    family whose names are not known (`families.py`).
    """
    _check(_read(adapter / "adapter_config.json"), adapter)
    target = adapter / GGUF_NAME
    if not target.is_file():
        handle, part = tempfile.mkstemp(dir=adapter, prefix=".adapter-", suffix=".gguf")
        os.close(handle)
        try:
            write_adapter_gguf(adapter, base, Path(part))
            put(Path(part), target)
        finally:
            Path(part).unlink(missing_ok=True)
    return target


def write_adapter_gguf(adapter: Path, base: Path, target: Path) -> None:
    """Write the GGUF file; see `adapter_gguf`."""
    config = _read(adapter / "adapter_config.json")
    shape, family = _read(base / "config.json"), family_of(base)
    if family is None:
        raise BadInput(
            f"Adapter {adapter} is for a {shape.get('model_type')!r} base, whose adapters cannot "
            "be turned into GGUF here: serve it with APPRENTICE_ENGINE=torch_peft."
        )
    writer = GGUFWriter(target, family.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", _alpha(config))
    for name, values in _tensors(adapter, shape, family):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _alpha(config: dict[str, Any]) -> float:
    """llama.cpp scales by alpha / rank; rsLoRA wants alpha / sqrt(rank)."""
    alpha, rank = float(config["lora_alpha"]), int(config["r"])
    return alpha * rank**0.5 if config.get("use_rslora") else alpha


def _tensors(
    adapter: Path, shape: dict[str, Any], family: Family
) -> Iterator[tuple[str, np.ndarray]]:
    """llama.cpp's name and values of each matrix, in float16: half the bytes to read per token."""
    heads = int(shape["num_attention_heads"])
    heads_of = {"attn_q": heads, "attn_k": int(shape.get("num_key_value_heads") or heads)}
    for name, values in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        found = TENSOR.fullmatch(name)
        if found is None or found[2] not in family.modules:
            raise BadInput(
                f"Adapter {adapter} trains {name}, which llama.cpp cannot take as LoRA: serve it "
                "with APPRENTICE_ENGINE=torch_peft."
            )
        layer, module, side = found[1], family.modules[found[2]], found[3].lower()
        if family.interleaved and side == "b" and module in heads_of:
            values = to_interleaved(values, heads_of[module])
        yield f"blk.{layer}.{module}.weight.lora_{side}", _stored(values)


def _stored(values: np.ndarray) -> np.ndarray:
    small = values.astype(np.float16)
    # A value past float16's 65,504 would become infinite and every answer with it.
    return small if np.isfinite(small).all() else values.astype(np.float32)


def _check(config: dict[str, Any], adapter: Path) -> None:
    try:
        kind = kind_of(config)
    except Unfit as error:
        raise BadInput(f"Adapter {adapter} cannot be served: {error}.") from None
    if kind in OTHER_KINDS:
        raise BadInput(
            f"Adapter {adapter} is a {OTHER_KINDS[kind]} adapter, which llama.cpp cannot serve: "
            "use APPRENTICE_ENGINE=auto or torch_peft, or tune by lora or rslora."
        )
    odd = [key for key, plain in PLAIN.items() if config.get(key, plain) != plain]
    odd += [key for key in ("rank_pattern", "alpha_pattern") if config.get(key)]
    if odd:
        raise BadInput(
            f"Adapter {adapter} is not a plain LoRA ({', '.join(odd)}), which llama.cpp cannot "
            "serve: use APPRENTICE_ENGINE=torch_peft."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}): the adapter is not whole.") from error
