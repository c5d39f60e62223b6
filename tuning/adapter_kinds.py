"""Which adapters there are, and what each one's config and tensors may hold. Pure; no torch.

PEFT takes what it is given: it runs a `target_modules` text as a regular expression (25 characters
held a process for 8 s), makes room for `r` 10,000,000, and leaves tensors that are missing or
misnamed at their first values without an error. So an adapter is compared here with what a round
of ours could have written.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["lora", "rslora", "dora", "ia3", "bottleneck"]
Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name -> shape."""

LARGEST_RANK = 256
LARGEST_WIDTH = 4096
MODULE = re.compile(r"base_model\.model\.(?P<module>[\w.]+?)\.(?P<part>(?:lora|ia3|bottleneck)_.+)")
LAYER = re.compile(r".*?\.[^.]*\.(\d+)\.")
"""PEFT's own way to the number of a module's layer."""
_FILLED_IN = {
    "task_type": ("CAUSAL_LM",),
    "bias": ("none",),
    "init_lora_weights": (True,),
    "init_ia3_weights": (True,),
    "megatron_core": ("megatron.core",),
    "qalora_group_size": (16,),
    "lora_dropout": (0, 0.0),
    "use_rslora": (True, False),
    "use_dora": (True, False),
    "inference_mode": (True, False),
}
"""Settings that are not off in what we write, with what they may be."""
_CHECKED = {"peft_type", "r", "lora_alpha", "width", "target_modules", "feedforward_modules"}
_CHECKED |= {"layers_to_transform", "peft_version"}


class Unfit(ValueError):
    """Why an adapter is none of ours: `reason` is one fixed word, the text says what was found."""

    def __init__(self, reason: str, said: str) -> None:
        super().__init__(said)
        self.reason = reason


def kind_of(config: Mapping[str, Any]) -> Kind:
    """The kind that a config describes. Raises Unfit (`kind`) for one that no round makes."""
    named = config.get("peft_type")
    if named == "LORA":
        if config.get("use_dora") and config.get("use_rslora"):
            raise Unfit("kind", "it is DoRA and rsLoRA at once, which no method makes")
        if config.get("use_dora"):
            return "dora"
        return "rslora" if config.get("use_rslora") else "lora"
    if named == "IA3":
        return "ia3"
    if named == "BOTTLENECK":
        return "bottleneck"
    raise Unfit("kind", f"peft_type is {str(named)[:40]!r}, which no method makes")


def check_config(config: Any) -> Kind:
    """The kind of a config that a round of ours could have written.

    Raises Unfit: `config` (a setting that is not ours), `kind`, `targets` (patterns instead of
    names), `rank` (sizes).
    """
    if not isinstance(config, dict):
        raise Unfit("config", "it is no object")
    kind = kind_of(config)
    for name, value in config.items():
        _check_setting(name, value)
    _check_names("target_modules", config.get("target_modules"))
    if kind == "ia3":
        _check_names("feedforward_modules", config.get("feedforward_modules"), least=0)
    elif kind == "bottleneck":
        _check_size("width", config.get("width"), LARGEST_WIDTH)
    else:
        _check_size("r", config.get("r"), LARGEST_RANK)
        _check_alpha(config.get("lora_alpha"))
    _check_layers(config.get("layers_to_transform"))
    return kind


def _check_setting(name: str, value: Any) -> None:
    if name in _CHECKED:
        return
    allowed = _FILLED_IN.get(name, (None, False, {}, []))
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise Unfit("config", f"{name[:60]} is {str(value)[:60]!r}")


def _check_names(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, list) or len(value) < least:
        raise Unfit("targets", f"{name} is not a list of names")
    if not all(isinstance(one, str) and re.fullmatch(r"[\w.]{1,200}", one) for one in value):
        raise Unfit("targets", f"{name} holds more than names")


def _check_size(name: str, value: Any, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise Unfit("rank", f"{name} is {str(value)[:20]}, not 1 to {most}")


def _check_alpha(value: Any) -> None:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 < value <= 1e6:
        raise Unfit("config", f"lora_alpha is {str(value)[:20]}, not a number of use")


def _check_layers(value: Any) -> None:
    if value is not None and not (
        isinstance(value, list) and value and all(type(one) is int and one >= 0 for one in value)
    ):
        raise Unfit("config", "layers_to_transform is not a list of layers")


def check_tensors(config: Mapping[str, Any], shapes: Shapes) -> None:
    """Compare an adapter's tensors with its config. Raises Unfit: `names`, `half`, `shapes`."""
    if not shapes:
        raise Unfit("half", "it holds no tensors")
    parts = _parts(config)
    found: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        match = MODULE.fullmatch(name)
        if match is None or match["part"] not in parts:
            raise Unfit("names", f"it holds {name[:80]!r}, which is no part of such an adapter")
        if not _fits(parts[match["part"]], shape):
            raise Unfit("shapes", f"{name} has the shape {list(shape)}")
        found.setdefault(match["module"], set()).add(match["part"])
    for module, has in found.items():
        if not _is_target(module, config):
            raise Unfit("names", f"{module} is not among its targets")
        if has != parts.keys() and config["peft_type"] != "IA3":
            raise Unfit("half", f"{module} lacks {', '.join(sorted(parts.keys() - has))}")


def check_against_base(config: Mapping[str, Any], shapes: Shapes, base: Shapes) -> None:
    """Compare an adapter's tensors with those its config means on a base, name by name.

    `base` has the shapes of the base's weights. Raises Unfit: `names`, `half`, `shapes`.
    """
    meant = {
        name: shape
        for weight, (outputs, inputs) in _linear(base).items()
        if _is_target(weight, config)
        for name, shape in _tensors_of(weight, config, outputs, inputs)
    }
    for name, shape in shapes.items():
        if name not in meant:
            raise Unfit("names", f"{name[:80]} is for a module that the base does not have")
        if tuple(shape) != meant[name]:
            raise Unfit(
                "shapes", f"{name} has the shape {list(shape)}, and the base {list(meant[name])}"
            )
    missing = sorted(meant.keys() - shapes.keys())
    if missing:
        raise Unfit("half", f"{len(missing)} of {len(meant)} tensors are missing: {missing[0]}")


def _linear(base: Shapes) -> dict[str, tuple[int, int]]:
    """Module name -> (outputs, inputs) of the base's matrices inside its layers."""
    return {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in base.items()
        if name.endswith(".weight") and len(shape) == 2 and LAYER.match(name)
    }


def _tensors_of(
    module: str, config: Mapping[str, Any], outputs: int, inputs: int
) -> list[tuple[str, tuple[int, ...]]]:
    sizes = {"out": outputs, "in": inputs}
    parts = _parts(config)
    if config["peft_type"] == "IA3":
        before = module.endswith(tuple(config["feedforward_modules"]))
        parts = {"ia3_l": (1, "in") if before else ("out", 1)}
    return [
        (
            f"base_model.model.{module}.{part}",
            tuple(sizes[one] if isinstance(one, str) else one for one in shape),
        )
        for part, shape in parts.items()
    ]


def _parts(config: Mapping[str, Any]) -> dict[str, tuple[int | str, ...]]:
    """A module's tensors of such an adapter, with sizes known from the config or named."""
    if config["peft_type"] == "IA3":
        return {"ia3_l": ("either", "either")}
    if config["peft_type"] == "BOTTLENECK":
        width = config["width"]
        return {
            "bottleneck_down.weight": (width, "out"),
            "bottleneck_down.bias": (width,),
            "bottleneck_up.weight": ("out", width),
            "bottleneck_up.bias": ("out",),
        }
    matrices: dict[str, tuple[int | str, ...]] = {
        "lora_A.weight": (config["r"], "in"),
        "lora_B.weight": ("out", config["r"]),
    }
    return matrices | ({"lora_magnitude_vector": ("out",)} if config.get("use_dora") else {})


def _fits(meant: tuple[int | str, ...], shape: tuple[int, ...]) -> bool:
    """Whether a shape is as meant where that is a number; IA3's has a one on either side."""
    if meant == ("either", "either"):
        return len(shape) == 2 and 1 in shape and max(shape) > 1
    return len(shape) == len(meant) and all(
        size > 0 if isinstance(one, str) else size == one
        for one, size in zip(meant, shape, strict=True)
    )


def _is_target(module: str, config: Mapping[str, Any]) -> bool:
    """Whether PEFT would put the adapter on this module."""
    names = config["target_modules"]
    if module in names:
        return True
    if not module.endswith(tuple(f".{name}" for name in names)):
        return False
    layers, found = config.get("layers_to_transform"), LAYER.match(module)
    return layers is None or (found is not None and int(found[1]) in layers)
