"""A real, tiny cross-encoder: two layers with random weights over the embedder's vocabulary."""

import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from knowledge.embedding import DEFAULT, model_folder


def make_cross_encoder(folder: Path, labels: int = 1) -> str:
    """Write it into `folder`; returns its name."""
    torch.manual_seed(1)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (model_folder(DEFAULT) / name).exists():
            shutil.copy(model_folder(DEFAULT) / name, folder / name)
    return str(folder)
