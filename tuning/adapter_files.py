"""An adapter's folder: saved all or nothing, verified before anything loads it.

PEFT loads broken adapters without an error (half the tensors missing, wrong names, NaN, another
base), runs a `target_modules` string as a regular expression and falls back to pickle, so nothing
reaches it that this file has not read first. No torch here: serving processes call it.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from storage.durable import put, put_text
from storage.errors import Refused
from tuning.adapter_kinds import Kind, Unfit, check_against_base, check_config, check_tensors

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CARD = "README.md"
MANIFEST = "manifest.json"
GGUF = "adapter.gguf"
"""Made beside by the engine that needs it; derived, so not part of the manifest."""
PARITY = "parity.json"
"""Lies in an exported folder: what it was asked, and what it answered. Never loaded."""
NOTES = "<!-- release notes -->"
"""Where the release notes begin in the card."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npy", ".npz", ".joblib", ".dill")
SAME_NAMES = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3", "smollm3", "olmo2"}
"""Kinds of bases whose files name their weights as transformers names the modules."""


class AdapterRefused(Refused):
    """An adapter that must not be loaded. `reason` is one of a few fixed words, for tests."""

    def __init__(self, folder: Path, reason: str, said: str) -> None:
        super().__init__(f"The adapter in {folder} is refused: {said}.")
        self.reason = reason


@dataclass(frozen=True)
class Manifest:
    """What an adapter is: written last, so a folder without it is no adapter."""

    base_fingerprint: str
    """Hash of the base model's weights, tokenizer and chat template: it fits no other."""
    method: str
    """`lora`, `rslora`, `dora`, `ia3`, `bottleneck`, or `qlora` over a packed base."""
    round_id: int | None
    """The round that made it; null for one from elsewhere."""
    metrics: dict[str, Any]
    """What training and the gate measured."""
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
        (part / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        verify_adapter(part, base_fingerprint)
        put(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def rewrite_texts(folder: Path, change: Callable[[str], str]) -> str:
    """Apply `change` to the model card and the manifest's figures; returns the new manifest hash.

    For an erasure: the weights stay, but the card may quote an answer. The row must take the new
    hash, or the adapter is refused. Called again after a crash it mends what was half done.
    """
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for key in ("metrics", "extra"):
        facts[key] = json.loads(change(json.dumps(facts.get(key, {}), ensure_ascii=False)))
    put_text(folder / CARD, change((folder / CARD).read_text(encoding="utf-8")))
    facts["files"][CARD] = _file_facts(folder / CARD)
    put_text(folder / MANIFEST, json.dumps(facts, indent=1))
    return manifest_hash(folder)


def write_notes(folder: Path, notes: str) -> str:
    """Put the release notes into the model card; returns the new manifest hash.

    They are known only when the adapter has been judged, which is after its save and before its
    row. A crash between the two files leaves an adapter that is refused, and trained again.
    """
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    card = (folder / CARD).read_text(encoding="utf-8").split(NOTES)[0].rstrip()
    put_text(folder / CARD, f"{card}\n\n{NOTES}\n\n{notes}")
    facts["files"][CARD] = _file_facts(folder / CARD)
    put_text(folder / MANIFEST, json.dumps(facts, indent=1))
    return manifest_hash(folder)


def read_notes(folder: Path) -> str:
    """The release notes in the model card; '' when it has none or is gone."""
    try:
        card = (folder / CARD).read_text(encoding="utf-8")
    except OSError:
        return ""
    return card.partition(NOTES)[2].strip()


def manifest_hash(folder: Path) -> str:
    """What the adapter's row keeps: a folder changed as a whole is found by it."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def verify_adapter(
    folder: Path,
    base_fingerprint: str,
    *,
    expected_manifest: str | None = None,
    base_folder: Path | None = None,
) -> Manifest:
    """The manifest of an adapter that may be loaded on this base.

    `expected_manifest` is the hash its row keeps. With `base_folder` the tensors are compared with
    the base's weights one by one. Raises AdapterRefused with the reason: `missing`, `extra`,
    `pickle`, `manifest`, `base`, `hash` (files); `config`, `kind`, `targets`, `rank` (config);
    `unreadable`, `tensors`, `names`, `half`, `shapes`, `numbers`, `values` (weights).
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
    _verify_tensors(folder, manifest, _read_config(folder), base_folder)
    return manifest


def adapter_kind(folder: Path) -> Kind:
    """What the adapter in `folder` is, by its config. Raises AdapterRefused as verifying does."""
    try:
        return check_config(_read_config(folder))
    except Unfit as error:
        raise AdapterRefused(folder, error.reason, f"its {CONFIG} is not ours: {error}") from None


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
        if path.suffix.lower() in PICKLES:
            raise AdapterRefused(folder, "pickle", f"{path.name} could run code when loaded")
        known = path.name in {*manifest.files, MANIFEST, PARITY}
        if not known and not path.name.startswith((GGUF, f".{GGUF}")):
            raise AdapterRefused(folder, "extra", f"{path.name} is not in its manifest")
        if path.is_symlink() or not path.is_file():
            raise AdapterRefused(folder, "extra", f"{path.name} is not a plain file")
    for name, facts in manifest.files.items():
        if not (folder / name).is_file():
            raise AdapterRefused(folder, "missing", f"{name} is not there")
        if _file_facts(folder / name) != facts:
            raise AdapterRefused(folder, "hash", f"{name} has changed since it was saved")


def _read_config(folder: Path) -> Any:
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = f"its {CONFIG} cannot be read ({error})"
        raise AdapterRefused(folder, "config", said) from None


def _verify_tensors(
    folder: Path, manifest: Manifest, config: Any, base_folder: Path | None
) -> None:
    adapter_kind(folder)
    shapes = _tensor_shapes(folder)
    if {name: list(shape) for name, shape in shapes.items()} != manifest.tensors:
        raise AdapterRefused(folder, "tensors", "its tensors are not those in its manifest")
    try:
        check_tensors(config, shapes)
        if base_folder is not None and _kind_of_base(base_folder) in SAME_NAMES:
            check_against_base(config, shapes, weight_shapes(base_folder))
    except Unfit as error:
        raise AdapterRefused(folder, error.reason, str(error)) from None
    _verify_values(folder, shapes)


def _verify_values(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        for name in shapes:
            held = file.get_slice(name).get_dtype()
            if held not in ("F32", "F16"):
                raise AdapterRefused(folder, "numbers", f"{name} is {held}, not F32 or F16")
            if not np.isfinite(file.get_tensor(name)).all():
                raise AdapterRefused(folder, "values", f"{name} holds NaN or infinity")


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of a model's folder; only the files' headers are read."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            found.update({name: tuple(file.get_slice(name).get_shape()) for name in file.keys()})  # noqa: SIM118
    return found


def _kind_of_base(folder: Path) -> str:
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))


def _tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        said = f"{WEIGHTS} cannot be read ({error})"
        raise AdapterRefused(folder, "unreadable", said) from None


def _as_we_write_it(config: dict[str, Any]) -> dict[str, Any]:
    """PEFT's config without the place the base lay in, and with its names in a fixed order."""
    ordered = {
        name: sorted(config[name])
        for name in ("target_modules", "feedforward_modules")
        if isinstance(config.get(name), (list, set, tuple))
    }
    return {**config, "base_model_name_or_path": None, "revision": None, **ordered}


def _file_facts(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def _card(base_model: str, method: str, round_id: int | None, metrics: Mapping[str, Any]) -> str:
    """The model card, in the form model hubs read."""
    figures = "\n".join(
        f"| {name} | {value} |"
        for name, value in metrics.items()
        if isinstance(value, str | int | float)
    )
    return (
        "---\nlibrary_name: peft\npipeline_tag: text-generation\ntags: [lora, apprentice]\n---\n\n"
        f"# Adapter of round {round_id if round_id is not None else '(made elsewhere)'}\n\n"
        f"A {method} adapter for `{base_model or 'the base in the manifest'}`, taught from "
        "approved corrections by Apprentice. It fits that base only: "
        f"`{MANIFEST}` holds its fingerprint.\n\n"
        f"| training | |\n|---|---|\n{figures}\n"
    )
