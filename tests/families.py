"""Tiny bases of other families than the embedded one, made from transformers' own configurations.

Random weights like those of `tiny.py`, and its tokenizer. Sliding windows are eight tokens, so that
every prompt is longer; Gemma 3 has six layers and SmolLM3 four because only the last is of the
other kind.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import nn

from storage.models import BaseModel, fingerprint

WINDOW = 8
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"tie_word_embeddings": True}),
    "mistral": ("MistralConfig", {"sliding_window": WINDOW, "head_dim": 32}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True, "head_dim": 32}),
    "phi3": ("Phi3Config", {"sliding_window": WINDOW}),
    "gemma3_text": (
        "Gemma3TextConfig",
        {
            "sliding_window": WINDOW,
            "num_hidden_layers": 6,
            "head_dim": 32,
            "query_pre_attn_scalar": 32,
        },
    ),
    "smollm3": ("SmolLM3Config", {"num_hidden_layers": 4, "tie_word_embeddings": True}),
}
"""model_type -> its configuration class and what differs from the others."""
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "dtype": "float32",
}


def make_family_base(family: str, tokenizer: Path, folder: Path, **other: Any) -> BaseModel:
    """Write a tiny base of `family` into `folder`, with the tokenizer of the base in `tokenizer`.

    `other` overrides settings of its configuration. Without a GGUF.
    """
    kind, own = FAMILIES[family]
    words = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    size = words.get_vocab_size()
    config = getattr(transformers, kind)(**{"vocab_size": size, **SHAPE, **own, **other})
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, weights in model.named_parameters():
        nn.init.normal_(weights, *_spread(name, weights, family))
    with torch.no_grad():  # it says no halves of characters, which engines tell differently
        halves = [word for word in range(size) if "\ufffd" in words.decode([word])]
        model.get_output_embeddings().weight[halves] = 0
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tokenizer / name, folder)
    return BaseModel(family, folder, None, fingerprint(folder))


def _spread(name: str, weights: torch.Tensor, family: str) -> tuple[float, float]:
    """Mean and deviation: large, so that answers differ; norms that no sign or shift hides."""
    if weights.dim() == 2:
        # Gemma multiplies embeddings by the root of the width
        embedding = 0.15 if family == "gemma3_text" else 0.5
        return (0.0, embedding) if "embed" in name else (0.0, 0.3)
    return (0.0, 0.5) if name.endswith("bias") else (1.0, 0.3)
