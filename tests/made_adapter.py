"""An adapter in a house, as a round leaves it but without a round: random, signed, a candidate."""

from contextlib import closing
from pathlib import Path

from assistant.app import App
from assistant.signing import sign_made
from storage.adapters import add_adapter
from storage.records import Workspace
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter


def made(app: App, workspace: Workspace, kind: str, scratch: Path, seed: int = 1) -> int:
    """The id of an adapter of this kind in the workspace."""
    weights = make_tiny_adapter(app.base, scratch / f"{kind}{seed}", seed=seed, kind=kind)
    folder = scratch / f"saved-{kind}{seed}"
    save_adapter(
        weights,
        folder,
        base_fingerprint=app.base.fingerprint,
        method=kind,
        round_id=None,
        metrics={},
    )
    with closing(app.db()) as db:
        row = add_adapter(
            db,
            workspace.id,
            round_id=None,
            parent_id=None,
            base_fingerprint=app.base.fingerprint,
            method=kind,
            manifest_hash=manifest_hash(folder),
        )
        sign_made(app.settings, db, row.id)
    folder.rename(app.adapter_folder(row.id))
    return row.id
