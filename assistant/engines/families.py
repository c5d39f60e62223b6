"""Which families of base models llama.cpp answers by as torch does, and how it names their parts.

Only what a test proves is here (tests/assistant/engines/test_families.py): equal answers by a base
and by an adapter on every linear layer. torch_peft serves every other family.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import BadInput

MODULES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""transformers' names of the linear layers in a block, and llama.cpp's."""
FUSED = {
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True)
class Family:
    """How llama.cpp holds the models of one `model_type`."""

    architecture: str
    """llama.cpp's name for it."""
    interleaved: bool = False
    """Whether it keeps the rows of q and k in the order of `storage.conversion.to_interleaved`."""
    windowed: bool = False
    """Whether it keeps to a sliding window; the others see the whole context there."""
    modules: Mapping[str, str] = field(default_factory=lambda: MODULES)


FAMILIES = {
    "llama": Family("llama", interleaved=True),
    "mistral": Family("llama", interleaved=True),
    "smollm3": Family("smollm3", interleaved=True),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3"),
    "phi3": Family("phi3", modules=FUSED),
    "gemma3_text": Family("gemma3", windowed=True),
}
"""By `model_type` in config.json."""


def family_of(folder: Path) -> Family | None:
    """The family of the base in `folder`; None for one that is not here."""
    return FAMILIES.get(str(_config(folder).get("model_type")))


def why_not_llamacpp(folder: Path, context: int) -> str | None:
    """Why llama.cpp would not answer by the base in `folder` as torch does; None if it would.

    `context` is what is read at most, in tokens.
    """
    family, config = family_of(folder), _config(folder)
    if family is None:
        return (
            f"its architecture {config.get('model_type')!r} is none of those that llama.cpp is "
            f"proved to answer by as torch does ({', '.join(FAMILIES)})"
        )
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    if window and window < context and not family.windowed:
        return (
            f"its layers look back {window} tokens, and llama.cpp has them look back over the "
            f"whole context of {context}"
        )
    return None


def _config(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder}/config.json cannot be read ({error}): fetch the base again."
        ) from error
