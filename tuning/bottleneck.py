"""Bottleneck adapters, as a method of PEFT: it has none, and with this its own calls do the rest.

A bottleneck adapter is a small trained layer inside the frozen model: what a block's sublayer says
is brought down to a few values, bent, brought up again and added to it. Houlsby et al. 2019
("Parameter-Efficient Transfer Learning for NLP", arXiv:1902.00751) put one after the attention and
one after the feed-forward network of every block; Pfeiffer et al. 2020 ("AdapterFusion",
arXiv:2005.00247) found the second one enough. `get_peft_model`, `save_pretrained`,
`PeftModel.from_pretrained`, `load_adapter`, `set_adapter`, `disable_adapter` and `delete_adapter`
work as for PEFT's own methods once this file is imported. The base may be held in nf4 or int8: its
weights are never touched.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftConfig
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import Tensor, nn

BOTTLENECK = "BOTTLENECK"
"""PEFT's name of the method, and `peft_type` in an adapter's config."""


@dataclass
class BottleneckConfig(PeftConfig):
    """A bottleneck adapter of `width` values behind each module that `target_modules` names.

    The modules are the output layers of sublayers: what they say is what their block adds.
    `layers_to_transform` keeps the adapter to some of the base's layers.
    """

    width: int = 64
    target_modules: list[str] | None = None
    layers_to_transform: list[int] | None = None
    layers_pattern: str | None = None
    exclude_modules: list[str] | None = None
    modules_to_save: list[str] | None = None
    bias: str = field(default="none", metadata={"help": "of the base; the adapter has its own"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = BOTTLENECK


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """A module of the base, and behind it the bottleneck of each adapter."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self._active_adapter: list[str] = []
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Add an adapter that says nothing yet: its way up begins at zero."""
        size = self.get_base_layer().out_features
        self.bottleneck_down[adapter_name] = nn.Linear(size, config.width)
        self.bottleneck_up[adapter_name] = nn.Linear(config.width, size)
        nn.init.zeros_(self.bottleneck_up[adapter_name].weight)
        nn.init.zeros_(self.bottleneck_up[adapter_name].bias)
        self._move_adapter_to_device_of_base_layer(adapter_name)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """What the base's module says, and what the adapters in use add to it."""
        said: Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return said
        for name in self.active_adapters:
            if name in self.bottleneck_down:
                down, up = self.bottleneck_down[name], self.bottleneck_up[name]
                added = up(torch.relu(down(said.to(down.weight.dtype))))
                said = said + added.to(said.dtype)
        return said


class BottleneckModel(BaseTuner):
    """Puts bottleneck adapters into a model; see `peft.tuners.tuners_utils.BaseTuner`."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        if not isinstance(target, nn.Linear):  # bitsandbytes' layers are such, too
            raise ValueError(f"{current_key} is no linear layer: a bottleneck needs its width.")
        layer = BottleneckLayer(target)
        layer.update_layer(adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)


def _register() -> None:
    """Tell PEFT. `register_peft_method` wants a member of PEFT's enum of methods, which cannot be
    added to; the members equal their texts, so the tables behind it take the text as well."""
    PEFT_TYPE_TO_CONFIG_MAPPING[BOTTLENECK] = BottleneckConfig
    PEFT_TYPE_TO_TUNER_MAPPING[BOTTLENECK] = BottleneckModel
    PEFT_TYPE_TO_PREFIX_MAPPING[BOTTLENECK] = BottleneckModel.prefix


_register()
