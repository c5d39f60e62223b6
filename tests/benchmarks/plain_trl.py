"""The opponent: plain TRL, as one file by its documentation has it, that nobody tunes."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer


@dataclass(frozen=True)
class Recipe:
    """What the script sets."""

    rate: float
    epochs: int
    nf4: bool
    batch_size: int = 8
    rank: int = 16
    alpha: int = 32
    seed: int = 7


def plain_trainer(
    model: Path, rows: Sequence[tuple[Sequence[int], Sequence[int]]], recipe: Recipe
) -> SFTTrainer:
    """A trainer of (prompt ids, answer ids): LoRA on every linear layer, batches padded to their
    longest row, completion-only loss, no gradient checkpointing."""
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    return SFTTrainer(
        model=str(model),
        args=SFTConfig(
            output_dir=tempfile.mkdtemp(),
            per_device_train_batch_size=recipe.batch_size,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.rate,
            completion_only_loss=True,
            gradient_checkpointing=False,
            max_length=None,
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            seed=recipe.seed,
            save_strategy="no",
            logging_strategy="epoch",
            report_to="none",
            disable_tqdm=True,
            model_init_kwargs={"dtype": torch.float32},
        ),
        train_dataset=Dataset.from_list([_row(prompt, answer) for prompt, answer in rows]),
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            target_modules="all-linear",
        ),
        quantization_config=nf4 if recipe.nf4 else None,
    )


def _row(prompt: Sequence[int], answer: Sequence[int]) -> dict[str, Any]:
    return {
        "input_ids": [*prompt, *answer],
        "completion_mask": [0] * len(prompt) + [1] * len(answer),
    }
