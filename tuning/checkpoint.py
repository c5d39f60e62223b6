"""A checkpoint: what a killed training needs to go on, in a folder that is whole or not there.

transformers writes its own straight into place, reads them back by pickle and takes the highest
number for the last one (transformers#35525). Here the manifest with the hashes is written last,
the folder is renamed into place, and only one that verifies is gone on from. No torch.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.durable import put

TENSORS = "state.safetensors"
FACTS = "state.json"
MANIFEST = "manifest.json"
KEPT = 2
"""Checkpoints left in the folder: the last one, and one should the disk spoil that."""
FORMAT = 1
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint after `step` steps; its files have been verified."""

    folder: Path
    step: int

    @property
    def tensors(self) -> Path:
        """The safetensors file."""
        return self.folder / TENSORS

    def facts(self) -> dict[str, Any]:
        """What is no tensor, as it was saved."""
        return dict(json.loads((self.folder / FACTS).read_text(encoding="utf-8")))


def save_checkpoint(
    out: Path,
    step: int,
    *,
    bundle: str,
    facts: Mapping[str, Any],
    write_tensors: Callable[[Path], None],
) -> Checkpoint:
    """`out/checkpoint-<step>`, all of it or nothing; older ones than the last two go.

    `bundle` is the `bundle_hash` of what trains, `write_tensors` writes a safetensors file to the
    path it gets. Raises OSError when the disk does not take it.
    """
    folder = out / f"checkpoint-{step}"
    out.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".checkpoint-", dir=out))
    try:
        write_tensors(part / TENSORS)
        (part / FACTS).write_text(json.dumps(facts, allow_nan=False), encoding="utf-8")
        files = {name: _hash(part / name) for name in (TENSORS, FACTS)}
        manifest = {"format": FORMAT, "step": step, "bundle": bundle, "files": files}
        (part / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        put(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    drop_checkpoints(out, keep=KEPT)
    return Checkpoint(folder, step)


def last_checkpoint(out: Path, bundle: str) -> Checkpoint | None:
    """The newest checkpoint of this bundle that is complete and unchanged; None without one."""
    for step, folder in _folders(out):
        if _is_whole(folder, step, bundle):
            return Checkpoint(folder, step)
    return None


def drop_checkpoints(out: Path, keep: int = 0) -> None:
    """Removes all but the newest `keep`, and what was left of one that was not finished."""
    for _, folder in _folders(out)[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in out.glob(".checkpoint-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(out: Path) -> list[tuple[int, Path]]:
    """(step, folder) of what is named like a checkpoint, newest first."""
    found = [(_NAME.fullmatch(path.name), path) for path in out.glob("checkpoint-*")]
    return sorted(((int(name[1]), path) for name, path in found if name), reverse=True)


def _is_whole(folder: Path, step: int, bundle: str) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(
            (manifest["format"], manifest["step"], manifest["bundle"]) == (FORMAT, step, bundle)
            and set(manifest["files"]) == {TENSORS, FACTS}
            and all(_hash(folder / name) == known for name, known in manifest["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
