"""The base model in torch and the adapters on it, whatever their kind. Used by one thread only.

PEFT puts adapters of one kind only into a model. So each kind gets a model of its own, whose
modules are copies and whose weights are the base's very own: a second kind costs no memory but its
adapters. Plain LoRA and rsLoRA answer in mixed batches (`adapter_names`); for DoRA, IA3 and
bottlenecks PEFT has no such way, and a batch is by one adapter, which is set before.
"""

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

from peft import PeftModel
from peft.helpers import DoraCaching
from peft.tuners.lora.dora import DoraLinearLayer
from safetensors import SafetensorError, safe_open
from torch import nn

import tuning.bottleneck  # noqa: F401  registers the method with PEFT
from storage.errors import BadInput
from tuning.adapter_kinds import Kind, Unfit, check_against_base, check_config

BASE = "__base__"
"""PEFT's name for no adapter."""
MIXED = "mixed"
"""The batch in which the base, LoRA and rsLoRA answer together."""


class AdapterModels:
    """The base model `base`, and a PEFT model for each kind of adapter that is loaded."""

    def __init__(self, base: Any) -> None:
        self.base = base
        self._models: dict[Kind, PeftModel] = {}
        self._kinds: dict[str, Kind] = {}

    @property
    def names(self) -> set[str]:
        """Names of the loaded adapters."""
        return set(self._kinds)

    def batch_of(self, name: str) -> str:
        """Which batch answers by this adapter: those with the same word may share one."""
        return MIXED if name == BASE or self._kinds[name] == "lora" else name

    def load(self, name: str, folder: Path) -> None:
        """Add the adapter in `folder`. Raises BadInput for one that does not fit the base."""
        kind = self._checked(folder)
        if kind in self._models:
            device = str(next(self.base.parameters()).device)
            self._models[kind].load_adapter(folder, name, torch_device=device)
            self._models[kind].eval()
        else:
            copied = _same_weights(self.base)
            self._models[kind] = PeftModel.from_pretrained(copied, folder, adapter_name=name).eval()
        if kind == "dora":
            _keep_norms(self._models[kind])
        self._kinds[name] = kind

    def unload(self, name: str) -> None:
        """Forget an adapter; a kind without any left goes as a whole."""
        kind = self._kinds.pop(name)
        if kind in self._kinds.values():
            self._models[kind].delete_adapter(name)
        else:  # a PEFT model without any adapter cannot run
            del self._models[kind]

    def forward(self, adapters: list[str], **inputs: Any) -> Any:
        """One pass of the model, row by row by the named adapters: all of one batch."""
        if self.batch_of(adapters[0]) == MIXED:
            mixed = self._models.get("lora")
            if mixed is None:
                return self.base(**inputs)
            return mixed(**inputs, adapter_names=adapters)
        model = self._models[self._kinds[adapters[0]]]
        if model.active_adapters != adapters[:1]:
            model.set_adapter(adapters[0], inference_mode=True)
        with DoraCaching():  # else its norms are taken at every token; other kinds do not look
            return model(**inputs)

    def _checked(self, folder: Path) -> Kind:
        """The adapter's kind, rsLoRA as LoRA. PEFT would find out in the middle, or not at all."""
        config, shapes = _read(folder)
        try:
            kind = check_config(config)
            check_against_base(config, shapes, self._shapes())
        except Unfit as error:
            raise BadInput(
                f"The adapter in {folder} does not fit the base model ({error}): it was made for "
                "another one, or changed."
            ) from None
        return "lora" if kind == "rslora" else kind

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            f"{name}.weight": (module.out_features, module.in_features)
            for name, module in self.base.named_modules()
            if isinstance(module, nn.Linear)
        }


def _read(folder: Path) -> tuple[Any, dict[str, tuple[int, ...]]]:
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        with safe_open(folder / "adapter_model.safetensors", "np") as file:
            names = file.keys()
            return config, {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, ValueError, SafetensorError) as error:
        raise BadInput(f"The adapter in {folder} is not whole: {error}.") from error


def _same_weights(model: Any) -> Any:
    """A copy of the model's modules that holds the same tensors."""
    kept = [*model.parameters(), *model.buffers()]
    # bitsandbytes keeps the scales of a 4-bit weight beside it
    kept += [one.quant_state for one in model.modules() if hasattr(one, "quant_state")]
    return copy.deepcopy(model, {id(one): one for one in kept})


def _keep_norms(model: PeftModel) -> None:
    """Has DoRA take the norms of its weights once, and not anew at every token.

    PEFT's cache would also hold the matrix that each norm is taken of, as large as the layer.
    """
    for layer in model.modules():
        if isinstance(layer, DoraLinearLayer):
            layer._cache_store = partial(_store_norm, layer._dora_cache)


def _store_norm(cache: dict[str, Any], key: str, value: Any) -> None:
    cache[key] = value if key.startswith("weight-norm") else value.new_empty(0)
