"""What each method adds to the base model: the adapter's shape, and how the base is loaded.

Import late: this file brings torch, transformers and PEFT.
"""

from pathlib import Path

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from tuning.config import RoundConfig

UNPACK_SHARE = 0.25
"""Of the free memory, what the unpacked base may take on a CPU."""


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


def load_base(folder: Path, config: RoundConfig, *, memory: int | None = None) -> PreTrainedModel:
    """The frozen base for this round, on the GPU if there is one.

    A CPU computes in fp32: without AMX, bf16 products are emulated and slower. Where it has the
    memory (bytes; None asks the system), the 4-bit weights are unpacked once instead of at every
    product: the same numbers in less time.
    """
    on_gpu = torch.cuda.is_available()
    base = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        quantization_config=quantization(config),
        device_map={"": 0 if on_gpu else "cpu"},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    if config.method != "qlora" or on_gpu:
        return base
    room = UNPACK_SHARE * (_free_memory() if memory is None else memory)
    return base.dequantize(torch.float32) if 4 * base.num_parameters() < room else base


def _free_memory() -> int:
    """Bytes of memory that a process may still take; 0 where Linux's /proc does not say."""
    try:
        said = Path("/proc/meminfo").read_text()
    except OSError:
        return 0
    return int(said.split("MemAvailable:")[1].split()[0]) * 1024
