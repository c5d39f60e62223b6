"""What each method adds to the base model: the adapter's shape, and how the base is loaded.

Import late: this file brings torch, transformers and PEFT.
"""

from pathlib import Path

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from tuning.config import RoundConfig


def peft_config(config: RoundConfig) -> LoraConfig:
    """The adapter of a `lora` or `qlora` round."""
    named = [name.strip() for name in config.target_modules.split(",") if name.strip()]
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules="all-linear" if named == ["all-linear"] else named,
    )


def quantization(config: RoundConfig) -> BitsAndBytesConfig | None:
    """How the base is held while it trains: nf4 for `qlora`, as it is otherwise.

    The scales are quantised a second time on a GPU only, where memory is what is short: on a CPU
    that step takes half of the time in which weights are unpacked, for 5 MB of a 135M base.
    """
    if config.method != "qlora":
        return None
    on_gpu = torch.cuda.is_available()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=on_gpu,
        bnb_4bit_compute_dtype=torch.bfloat16 if on_gpu else torch.float32,
    )


def load_base(folder: Path, config: RoundConfig) -> PreTrainedModel:
    """The frozen base for this round, on the GPU if there is one.

    A CPU computes in fp32: without AMX, bf16 products are emulated and slower.
    """
    on_gpu = torch.cuda.is_available()
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        quantization_config=quantization(config),
        device_map={"": 0 if on_gpu else "cpu"},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
