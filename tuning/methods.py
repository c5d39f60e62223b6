"""What each method adds to the base model: the adapter's shape, and how the base is loaded.

Import late: this file brings torch, transformers and PEFT.
"""

from pathlib import Path

import torch
from peft import IA3Config, LoraConfig, PeftConfig
from peft.utils import (
    TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as IA3_FEED_FORWARD,
)
from peft.utils import (
    TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as IA3_TARGETS,
)
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from storage.errors import BadInput
from tuning.bottleneck import BottleneckConfig
from tuning.config import RoundConfig

FEED_FORWARD_OUT = {"down_proj", "fc2", "fc_out", "dense_4h_to_h", "w2"}
ATTENTION_OUT = {"o_proj", "out_proj", "dense", "wo"}
"""Output layers of the two sublayers of a block, as the architectures of transformers name them."""


def peft_config(config: RoundConfig, base: PreTrainedModel) -> PeftConfig:
    """The adapter of a round on `base`, by its method.

    LoRA (Hu et al. 2021, arXiv:2106.09685), over a packed base QLoRA (Dettmers et al. 2023,
    arXiv:2305.14314), DoRA (Liu et al. 2024, arXiv:2402.09353), rsLoRA (Kalajdzievski 2023,
    arXiv:2312.03732), IA3 (Liu et al. 2022, arXiv:2205.05638), bottlenecks (`bottleneck.py`).
    Raises BadInput for a base in which the method does not know its places.
    """
    if config.method == "ia3":
        return _ia3(config, base)
    if config.method == "bottleneck":
        return _bottleneck(config, base)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=_named(config) or _linear_names(base),
        layers_to_transform=_layers(config, base),
        use_dora=config.method == "dora",
        use_rslora=config.method == "rslora",
    )


def _ia3(config: RoundConfig, base: PreTrainedModel) -> IA3Config:
    kind = base.config.get_text_config().model_type
    names = _named(config) or sorted(IA3_TARGETS.get(kind, ()))
    if not names:
        raise _no_places("ia3", kind)
    layers = _layers(config, base)
    if layers is not None:  # IA3Config knows no layers: their modules are named in full
        names = _modules_in(base, names, layers)
    before = (*IA3_FEED_FORWARD.get(kind, ()), "down_proj")
    return IA3Config(
        task_type="CAUSAL_LM",
        target_modules=names,
        feedforward_modules=[name for name in names if name.endswith(before)],
    )


def _bottleneck(config: RoundConfig, base: PreTrainedModel) -> BottleneckConfig:
    places = FEED_FORWARD_OUT | (ATTENTION_OUT if config.placement == "houlsby" else set())
    names = _named(config) or sorted(places & set(_linear_names(base)))
    if not names:
        raise _no_places("bottleneck", base.config.get_text_config().model_type)
    return BottleneckConfig(
        task_type="CAUSAL_LM",
        width=config.width,
        target_modules=names,
        layers_to_transform=_layers(config, base),
    )


def _named(config: RoundConfig) -> list[str]:
    """The modules that the round names itself; none for `all-linear`."""
    named = [name.strip() for name in config.target_modules.split(",") if name.strip()]
    return [] if named == ["all-linear"] else named


def _layers(config: RoundConfig, base: PreTrainedModel) -> list[int] | None:
    """Numbers of the layers that get the adapter; None for all of them."""
    count = base.config.get_text_config().num_hidden_layers
    lowest = count - max(1, round(count * config.layers))
    return list(range(lowest, count)) if lowest else None


def _modules_in(base: PreTrainedModel, names: list[str], layers: list[int]) -> list[str]:
    inside = [f".{layer}." for layer in layers]
    return [
        module
        for module, _ in base.named_modules()
        if module.endswith(tuple(f".{name}" for name in names))
        and any(part in module for part in inside)
    ]


def _no_places(method: str, kind: str) -> BadInput:
    return BadInput(
        f"The method {method!r} does not know where to sit in a base of the kind {kind!r}: "
        "name the modules with --set target_modules=NAME,NAME."
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
    """How the base is held while it trains: packed for `qlora`, as it is otherwise.

    nf4's scales are quantised a second time on a GPU only: on a CPU that step takes half of the
    time in which weights are unpacked, for 5 MB of a 135M base.
    """
    if config.method != "qlora":
        return None
    if config.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    on_gpu = torch.cuda.is_available()
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=on_gpu,
        bnb_4bit_compute_dtype=torch.bfloat16 if on_gpu else torch.float32,
    )


def load_base(folder: Path, config: RoundConfig) -> PreTrainedModel:
    """The frozen base for this round, on the GPU if there is one.

    A CPU computes in fp32: bf16 is emulated without AMX, and with it saved 3 to 9% of a step.
    """
    on_gpu = torch.cuda.is_available()
    base = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        quantization_config=quantization(config),
        device_map={"": torch.cuda.current_device() if on_gpu else "cpu"},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    _stay_trainable(base)
    return base


def _stay_trainable(base: PreTrainedModel) -> None:
    """Keeps nf4 weights in the format that has a gradient.

    On a CPU with AVX512-BF16 bitsandbytes (0.50.2, `Linear4bit.forward`) turns them at the first
    look in eval mode into one for bf16 inference, whose product lets no gradient through and says
    so in a warning only: whoever measured a loss and trained on would have learned nothing right.
    """
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
