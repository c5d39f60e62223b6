"""An adapter's folder: saved all or nothing, verified before anything loads it.

PEFT loads broken adapters without an error (half the tensors missing, wrong names, NaN, another
base), runs a `target_modules` string as a regular expression and falls back to pickle, so nothing
reaches it that this file has not read first. No torch here: serving processes call it.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from storage.errors import Refused

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CARD = "README.md"
MANIFEST = "manifest.json"
GGUF = "adapter.gguf"
"""Made beside by the engine that needs it; derived, so not part of the manifest."""
LARGEST_RANK = 256
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_TENSOR = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<side>[AB])\.weight")
_PLAIN_CONFIG: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM",),
    "auto_mapping": (None,),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "modules_to_save": (None,),
    "layers_pattern": (None,),
    "layer_replication": (None,),
    "trainable_token_indices": (None,),
    "target_parameters": (None,),
    "exclude_modules": (None,),
    "rank_pattern": ({},),
    "alpha_pattern": ({},),
    "use_dora": (False,),
    "lora_bias": (False,),
    "revision": (None,),
    "base_model_name_or_path": (None,),
}


class AdapterRefused(Refused):
    """An adapter that must not be loaded. `reason` is one of a few fixed words, for tests."""

    def __init__(self, folder: Path, reason: str, said: str) -> None:
        super().__init__(f"The adapter in {folder} is refused: {said}.")
        self.reason = reason


@dataclass(frozen=True)
class Manifest:
    """What an adapter is: written last, so a folder without it is no adapter."""

    base_fingerprint: str
    method: str
    round_id: int | None
    metrics: dict[str, Any]
    files: dict[str, dict[str, Any]]
    """File name -> {"sha256", "bytes"}."""
    tensors: dict[str, list[int]]
    """Tensor name -> shape."""
    created_at: str
    format: int = 1
    base_model: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def save_adapter(
    weights: Path,
    folder: Path,
    *,
    base_fingerprint: str,
    base_model: str = "",
    method: str,
    round_id: int | None,
    metrics: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Manifest:
    """The adapter PEFT saved into `weights`, as `folder`: written beside, synced, renamed.

    `extra` is kept in the manifest as it is; `train` puts the hash of its bundle there.
    The folder must not exist: an adapter version never serves under an old name. Raises
    AdapterRefused when what PEFT wrote would not pass `verify_adapter`.
    """
    if folder.exists():
        raise AdapterRefused(folder, "taken", "the folder exists; every version has a new name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shutil.copyfile(weights / WEIGHTS, part / WEIGHTS)
        config = _as_we_write_it(json.loads((weights / CONFIG).read_text(encoding="utf-8")))
        (part / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
        (part / CARD).write_text(_card(base_model, method, round_id, metrics), encoding="utf-8")
        manifest = Manifest(
            base_fingerprint=base_fingerprint,
            base_model=base_model,
            method=method,
            round_id=round_id,
            metrics=dict(metrics),
            files={name: _file_facts(part / name) for name in (CONFIG, WEIGHTS, CARD)},
            tensors={name: list(shape) for name, shape in _tensor_shapes(part).items()},
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            extra=dict(extra or {}),
        )
        for name in manifest.files:
            _sync(part / name)
        (part / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        _sync(part / MANIFEST)
        verify_adapter(part, base_fingerprint)
        _sync(part)
        os.replace(part, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def manifest_hash(folder: Path) -> str:
    """What the adapter's row keeps: a folder changed as a whole is found by it."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def verify_adapter(
    folder: Path, base_fingerprint: str, *, expected_manifest: str | None = None
) -> Manifest:
    """The manifest of an adapter that may be loaded on this base.

    `expected_manifest` is the hash its row keeps. Raises AdapterRefused with the reason:
    `missing`, `extra`, `pickle`, `manifest`, `base`, `hash`, `config`, `tensors`, `values`.
    """
    manifest = _read_manifest(folder, expected_manifest)
    _verify_files(folder, manifest)
    if manifest.base_fingerprint != base_fingerprint:
        raise AdapterRefused(
            folder,
            "base",
            f"it was made for the base {manifest.base_fingerprint[:12]}, "
            f"and {base_fingerprint[:12]} is loaded; start a round on this base",
        )
    _verify_tensors(folder, manifest, _verify_config(folder))
    return manifest


def _read_manifest(folder: Path, expected: str | None) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise AdapterRefused(folder, "missing", f"it has no {MANIFEST}; its save did not finish")
    text = path.read_bytes()
    if expected is not None and hashlib.sha256(text).hexdigest() != expected:
        raise AdapterRefused(folder, "manifest", f"its {MANIFEST} is not the one that was saved")
    try:
        manifest = Manifest(**json.loads(text))
        if set(manifest.files) != {CONFIG, WEIGHTS, CARD} or manifest.format != 1:
            raise ValueError("other files than an adapter's")
        return manifest
    except (ValueError, TypeError, RecursionError) as error:
        said = f"its {MANIFEST} cannot be read ({error})"
        raise AdapterRefused(folder, "manifest", said) from None


def _verify_files(folder: Path, manifest: Manifest) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _PICKLES:
            raise AdapterRefused(folder, "pickle", f"{path.name} could run code when loaded")
        known = path.name in manifest.files or path.name == MANIFEST
        if not known and not path.name.startswith((GGUF, f".{GGUF}")):
            raise AdapterRefused(folder, "extra", f"{path.name} is not in its manifest")
        if path.is_symlink() or not path.is_file():
            raise AdapterRefused(folder, "extra", f"{path.name} is not a plain file")
    for name, facts in manifest.files.items():
        if not (folder / name).is_file():
            raise AdapterRefused(folder, "missing", f"{name} is not there")
        if _file_facts(folder / name) != facts:
            raise AdapterRefused(folder, "hash", f"{name} has changed since it was saved")


def _verify_config(folder: Path) -> dict[str, Any]:
    """The adapter's config, if it is one that this file could have written."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        _complain_about(config)
    except (ValueError, TypeError, RecursionError) as error:
        raise AdapterRefused(folder, "config", f"its {CONFIG} is not ours ({error})") from None
    return config


def _complain_about(config: Any) -> None:
    """Raises ValueError naming what in the config we do not write."""
    if not isinstance(config, dict):
        raise ValueError("no object")
    for name, allowed in _PLAIN_CONFIG.items():
        if name in config and config[name] not in allowed:
            raise ValueError(f"{name} is {str(config[name])[:60]!r}")
    rank, modules = config.get("r"), config.get("target_modules")
    if type(rank) is not int or not 1 <= rank <= LARGEST_RANK:
        raise ValueError(f"r is {str(rank)[:20]}, not 1 to {LARGEST_RANK}")
    if not isinstance(modules, list) or not modules:
        raise ValueError("target_modules is not a list")
    if not all(isinstance(name, str) and re.fullmatch(r"[\w.]+", name) for name in modules):
        raise ValueError("target_modules holds more than names")
    layers = config.get("layers_to_transform")
    if layers is not None and not (
        isinstance(layers, list) and all(type(layer) is int and layer >= 0 for layer in layers)
    ):
        raise ValueError("layers_to_transform is not a list of layers")
    if type(config.get("lora_alpha")) not in (int, float):
        raise ValueError("lora_alpha is not a number")


def _verify_tensors(folder: Path, manifest: Manifest, config: dict[str, Any]) -> None:
    shapes = _tensor_shapes(folder)
    if {name: list(shape) for name, shape in shapes.items()} != manifest.tensors:
        raise AdapterRefused(folder, "tensors", "its tensors are not those in its manifest")
    modules: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        found = _TENSOR.fullmatch(name)
        if not found or len(shape) != 2:
            raise AdapterRefused(folder, "tensors", f"it holds {name[:80]!r}, no LoRA matrix")
        if shape[0 if found["side"] == "A" else 1] != config["r"]:
            raise AdapterRefused(folder, "tensors", f"{name} has not the rank {config['r']}")
        modules.setdefault(found["module"], set()).add(found["side"])
    named = config["target_modules"]
    for module, sides in modules.items():
        if sides != {"A", "B"} or not module.endswith(tuple(named)):
            raise AdapterRefused(folder, "tensors", f"{module} lacks a matrix or is not a target")
    if not modules:
        raise AdapterRefused(folder, "tensors", "it holds no matrices")
    _verify_values(folder, shapes)


def _verify_values(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        for name in shapes:
            values = file.get_tensor(name)
            if values.dtype not in (np.float32, np.float16):
                raise AdapterRefused(folder, "tensors", f"{name} is {values.dtype}, not a float")
            if not np.isfinite(values).all():
                raise AdapterRefused(folder, "values", f"{name} holds NaN or infinity")


def _tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise AdapterRefused(folder, "tensors", f"{WEIGHTS} cannot be read ({error})") from None


def _as_we_write_it(config: dict[str, Any]) -> dict[str, Any]:
    """PEFT's config without the place the base lay in, and with its targets in a fixed order."""
    return {
        **config,
        "base_model_name_or_path": None,
        "revision": None,
        "target_modules": sorted(config["target_modules"]),
    }


def _file_facts(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _card(base_model: str, method: str, round_id: int | None, metrics: Mapping[str, Any]) -> str:
    """The model card, in the form model hubs read."""
    figures = "\n".join(f"| {name} | {value} |" for name, value in metrics.items())
    return (
        "---\nlibrary_name: peft\npipeline_tag: text-generation\ntags: [lora, apprentice]\n---\n\n"
        f"# Adapter of round {round_id if round_id is not None else '(made elsewhere)'}\n\n"
        f"A {method} adapter for `{base_model or 'the base in the manifest'}`, taught from "
        "approved corrections by Apprentice. It fits that base only: "
        f"`{MANIFEST}` holds its fingerprint.\n\n"
        f"| training | |\n|---|---|\n{figures}\n"
    )
