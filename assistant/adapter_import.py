"""An adapter that comes from elsewhere: checked, written as our own, and a candidate.

A folder with our manifest must verify as it is. A plain PEFT folder is taken for no more than its
config and its tensors, which are checked and written anew; nothing in it is ever run or unpickled.
Neither serves by itself: what it was taught is not known here. `import_judging` asks the gate.
"""

import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from assistant.app import App
from assistant.signing import sign_made
from storage.adapters import add_adapter, copy_of, refuse_tainted_copy
from storage.audit import audit
from storage.database import write_transaction
from storage.durable import put
from storage.errors import BadInput
from storage.records import Adapter
from storage.workspaces import workspace as workspace_named
from tuning.adapter_files import (
    CARD,
    CONFIG,
    MANIFEST,
    PICKLES,
    WEIGHTS,
    AdapterRefused,
    Manifest,
    adapter_kind,
    manifest_hash,
    save_adapter,
    verify_adapter,
)

LARGEST_CONFIG = 1 << 20
"""Bytes of a config that are read: PEFT's own have two thousand."""
_NO_MATTER = {
    "base_model_name_or_path": None,
    "revision": None,
    "inference_mode": True,
    "lora_dropout": 0.0,
    "auto_mapping": None,
}
"""Settings that say how an adapter was made or where, and not what it is."""
_PROGRAMS = {".py", ".pyc", ".so", ".sh", ".dll", ".exe"}


def import_adapter(app: App, folder: Path, *, workspace: str, actor: str) -> Adapter:
    """Takes the adapter in `folder` into a workspace, as a candidate.

    Raises AdapterRefused with its reason for one that is not whole, is for another base or is more
    than we can check; BadInput for a folder that holds no adapter.
    """
    if not (folder / CONFIG).is_file():
        raise BadInput(f"There is no adapter in {folder}: it has no {CONFIG}.")
    place = Path(tempfile.mkdtemp(prefix=".import-", dir=app.datadir.adapters))
    try:
        ours = (folder / MANIFEST).is_file()
        manifest = (_taken if ours else _written_anew)(app, folder, place)
        with closing(app.db()) as db, write_transaction(db):
            hash = manifest_hash(place / "adapter")
            refuse_tainted_copy(db, hash)
            home = workspace_named(db, workspace).id
            ours_already = copy_of(db, home, hash)
            made = add_adapter(
                db,
                home,
                round_id=None,
                # so that it is tainted with the one it is a copy of, and has its lineage
                parent_id=ours_already.id if ours_already else None,
                base_fingerprint=manifest.base_fingerprint,
                method=manifest.method,
                manifest_hash=hash,
                metrics={},
            )
            sign_made(app.settings, db, made.id)
            shutil.rmtree(app.adapter_folder(made.id), ignore_errors=True)
            put(place / "adapter", app.adapter_folder(made.id))
            detail = {"manifest": ours, "method": manifest.method}
            audit(db, actor, "adapter imported", f"adapter:{made.id}", detail)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return made


def _taken(app: App, folder: Path, place: Path) -> Manifest:
    """A folder of ours: verified where it lies, then again where it has been copied to."""
    verify_adapter(folder, app.base.fingerprint)
    (place / "adapter").mkdir()
    for name in (CONFIG, WEIGHTS, CARD, MANIFEST):
        shutil.copyfile(folder / name, place / "adapter" / name)
    return verify_adapter(place / "adapter", app.base.fingerprint, base_folder=app.base.folder)


def _written_anew(app: App, folder: Path, place: Path) -> Manifest:
    """A folder of PEFT's: its tensors and the settings that matter, under a manifest of ours."""
    _refuse_code(folder)
    if not (folder / WEIGHTS).is_file():
        raise AdapterRefused(folder, "missing", f"{WEIGHTS} is not there")
    draft = place / "draft"
    draft.mkdir()
    shutil.copyfile(folder / WEIGHTS, draft / WEIGHTS)
    config = {**_config(folder), **_NO_MATTER}
    (draft / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    save_adapter(
        draft,
        place / "adapter",
        base_fingerprint=app.base.fingerprint,
        base_model=app.base.name,
        method=adapter_kind(draft),
        round_id=None,
        metrics={},
        extra={"imported": "from a PEFT folder"},
    )
    return verify_adapter(place / "adapter", app.base.fingerprint, base_folder=app.base.folder)


def _refuse_code(folder: Path) -> None:
    """What could run when somebody loads the folder is no adapter's, though nothing here runs it.

    A tokenizer or a chat template beside is what PEFT's own trainer leaves: it is not taken.
    """
    clean = f"copy {CONFIG} and {WEIGHTS} into a folder of their own, if you trust who made them"
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if suffix in PICKLES:
            said = f"{path.name} could run code when loaded; {clean}"
            raise AdapterRefused(folder, "pickle", said)
        if suffix in _PROGRAMS:
            raise AdapterRefused(folder, "code", f"{path.name} is a program; {clean}")
        if path.is_symlink():
            raise AdapterRefused(folder, "extra", f"{path.name} is a link; {clean}")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if path.stat().st_size > LARGEST_CONFIG:
        raise AdapterRefused(folder, "config", f"its {CONFIG} has more than {LARGEST_CONFIG} bytes")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        raise AdapterRefused(folder, "config", f"its {CONFIG} cannot be read ({error})") from None
    return config
