"""What each method adds to the base model: the adapter's shape, and how the base is loaded.

Import late: this file brings torch, transformers and PEFT.
"""

from pathlib import Path

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from tuning.config import RoundConfig


def peft_config(config: RoundConfig, base: PreTrainedModel) -> LoraConfig:
    """The adapter of a `lora` or `qlora` round on `base`."""
    count = base.config.get_text_config().num_hidden_layers
    lowest = count - max(1, round(count * config.layers))
    named = [name.strip() for name in config.target_modules.split(",") if name.strip()]
    named = _linear_names(base) if named == ["all-linear"] else named
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=named,
        layers_to_transform=list(range(lowest, count)) if lowest else None,
    )


def _linear_names(base: PreTrainedModel) -> list[str]:
    """Names of the linear layers inside the blocks, the output layer left out."""
    head = base.get_output_embeddings()
    return sorted(
        {
            name.split(".")[-1]
            for name, module in base.named_modules()
            if isinstance(module, torch.nn.Linear) and module is not head
        }
    )


def quantization(config: RoundConfig) -> BitsAndBytesConfig | None:
    """How the base is held while it trains: nf4 for `qlora`, as it is otherwise.

    The scales are quantised a second time on a GPU only: on a CPU that step takes half of the time
    in which weights are unpacked, for 5 MB of a 135M base.
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
