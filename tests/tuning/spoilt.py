"""Ways to spoil an adapter's folder, each with the reason for which it must be refused."""

import json
import os
import pickle

import numpy as np
from safetensors.numpy import load_file, save_file

from tuning import adapter_files
from tuning.adapter_files import CARD, CONFIG, MANIFEST, WEIGHTS, AdapterRefused


def change_weights(folder, change, rename=lambda name: name, keep=lambda number: True):
    tensors = load_file(folder / WEIGHTS)
    changed = {
        rename(name): change(name, values)
        for number, (name, values) in enumerate(sorted(tensors.items()))
        if keep(number)
    }
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})


def change_config(folder, **values):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **values}))


def reseal(folder):
    """A manifest that fits what the folder now holds: what somebody with the disk could do."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] = {
        name: adapter_files._file_facts(folder / name) for name in (CONFIG, WEIGHTS, CARD)
    }
    try:
        shapes = adapter_files._tensor_shapes(folder)
        manifest["tensors"] = {name: list(shape) for name, shape in shapes.items()}
    except AdapterRefused:
        pass
    (folder / MANIFEST).write_text(json.dumps(manifest))


def cut(folder, share):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: int(len(data) * share)])


def flip(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-9] ^= 64
    (folder / WEIGHTS).write_bytes(bytes(data))


def swap_for_link(folder, tmp):
    os.rename(folder / WEIGHTS, tmp / "elsewhere")
    (folder / WEIGHTS).symlink_to(tmp / "elsewhere")


def swap_for_folder(folder, tmp):
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


PLAIN = {
    "no weights": (lambda f, t: (f / WEIGHTS).unlink(), "missing"),
    "no config": (lambda f, t: (f / CONFIG).unlink(), "missing"),
    "no card": (lambda f, t: (f / CARD).unlink(), "missing"),
    "no manifest": (lambda f, t: (f / MANIFEST).unlink(), "missing"),
    "cut to nothing": (lambda f, t: cut(f, 0), "hash"),
    "cut to 30%": (lambda f, t: cut(f, 0.3), "hash"),
    "cut to 90%": (lambda f, t: cut(f, 0.9), "hash"),
    "a bit flipped": (lambda f, t: flip(f), "hash"),
    "other config": (lambda f, t: change_config(f, r=8), "hash"),
    "an extra file": (lambda f, t: (f / "notes.txt").write_text("x"), "extra"),
    "a pickle": (lambda f, t: (f / "adapter_model.bin").write_bytes(b"x"), "pickle"),
    "a link": (swap_for_link, "extra"),
    "a folder": (swap_for_folder, "extra"),
    "manifest cut": (lambda f, t: (f / MANIFEST).write_text('{"base'), "manifest"),
    "manifest a list": (lambda f, t: (f / MANIFEST).write_text("[]"), "manifest"),
    "manifest empty": (lambda f, t: (f / MANIFEST).write_text("{}"), "manifest"),
}


def stretched(folder, name):
    change_weights(
        folder, lambda n, v: np.vstack([v, v[:1]]) if n.endswith(f"{name}.weight") else v
    )


def renamed(folder, old, new):
    change_weights(folder, lambda n, v: v, lambda n: n.replace(old, new))


def kept(folder, keep):
    """What `keep` does not like, in sorted order, goes."""
    change_weights(folder, lambda n, v: v, keep=keep)


RESEALED = {
    "NaN": (lambda f: change_weights(f, lambda n, v: v * np.nan), "values"),
    "infinity": (lambda f: change_weights(f, lambda n, v: v / 0), "values"),
    "every second tensor": (lambda f: kept(f, lambda i: i % 2), "half"),
    "half the modules": (lambda f: kept(f, lambda i: i // 2 % 2), "half"),
    "one layer less": (lambda f: kept(f, lambda i: i < 14), "half"),
    "no tensors": (lambda f: kept(f, lambda i: False), "half"),
    "other names": (lambda f: renamed(f, "lora_A", "lora_C"), "names"),
    "all names without their beginning": (lambda f: renamed(f, "base_model.", ""), "names"),
    "a layer the base does not have": (lambda f: renamed(f, "layers.1.", "layers.7."), "names"),
    "an output layer": (lambda f: renamed(f, "layers.0.mlp.up_proj", "lm_head"), "names"),
    "a module not named": (lambda f: change_config(f, target_modules=["q_proj"]), "names"),
    "a name's ending": (lambda f: change_config(f, target_modules=["proj"]), "names"),
    "layers not named": (lambda f: change_config(f, layers_to_transform=[0]), "names"),
    "another rank": (lambda f: change_weights(f, lambda n, v: v[:2, :2].copy()), "shapes"),
    "another rank told": (lambda f: change_config(f, r=5), "shapes"),
    "a row too many": (lambda f: stretched(f, "k_proj.lora_B"), "shapes"),
    "one dimension": (lambda f: change_weights(f, lambda n, v: v[0].copy()), "shapes"),
    "float64": (lambda f: change_weights(f, lambda n, v: v.astype(np.float64)), "numbers"),
    "whole numbers": (lambda f: change_weights(f, lambda n, v: v.astype(np.int8)), "numbers"),
    "weights cut": (lambda f: cut(f, 0.5), "unreadable"),
    "huge header": (lambda f: (f / WEIGHTS).write_bytes(b"\xff" * 64), "unreadable"),
    "a pickle under its name": (
        lambda f: (f / WEIGHTS).write_bytes(pickle.dumps({"a": 1})),
        "unreadable",
    ),
    "config a list": (lambda f: (f / CONFIG).write_text("[]"), "config"),
    "config cut": (lambda f: (f / CONFIG).write_text('{"r": '), "config"),
    "config without end": (lambda f: (f / CONFIG).write_text("[" * 100_000), "config"),
    "a pattern for targets": (lambda f: change_config(f, target_modules="(a+)+$"), "targets"),
    "a pattern in the list": (lambda f: change_config(f, target_modules=["(a+)+$"]), "targets"),
    "no targets": (lambda f: change_config(f, target_modules=[]), "targets"),
    "huge rank": (lambda f: change_config(f, r=10_000_000), "rank"),
    "rank true": (lambda f: change_config(f, r=True), "rank"),
    "rank zero": (lambda f: change_config(f, r=0), "rank"),
    "alpha a word": (lambda f: change_config(f, lora_alpha="1"), "config"),
    "alpha endless": (lambda f: change_config(f, lora_alpha=float("inf")), "config"),
    "auto mapping": (
        lambda f: change_config(f, auto_mapping={"base_model_class": "x"}),
        "config",
    ),
    "a pattern for what is left out": (
        lambda f: change_config(f, exclude_modules="(a+)+$"),
        "config",
    ),
    "a rank by pattern": (lambda f: change_config(f, rank_pattern={"(a+)+$": 4}), "config"),
    "layers by pattern": (lambda f: change_config(f, layers_pattern="(a+)+$"), "config"),
    "a first weight from the base": (
        lambda f: change_config(f, init_lora_weights="pissa"),
        "config",
    ),
    "a setting that is new": (lambda f: change_config(f, run_this="os.system"), "config"),
    "another method": (lambda f: change_config(f, peft_type="VERA"), "kind"),
    "a prompt": (lambda f: change_config(f, peft_type="PROMPT_TUNING"), "kind"),
    "two methods at once": (lambda f: change_config(f, use_dora=True, use_rslora=True), "kind"),
    "IA3 by name alone": (
        lambda f: change_config(f, peft_type="IA3", feedforward_modules=[]),
        "names",
    ),
    "DoRA without magnitudes": (lambda f: change_config(f, use_dora=True), "half"),
    "a base to fetch": (lambda f: change_config(f, base_model_name_or_path="a/b"), "config"),
    "whole layers": (lambda f: change_config(f, modules_to_save=["lm_head"]), "config"),
}
