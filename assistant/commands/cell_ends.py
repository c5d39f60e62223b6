"""What `cells move` has done at each end, by the process that owns the data directory there.

Vectors and loaded adapters are that process's alone, and it alone signs with that house's key.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from sqlite_utils import Database

from assistant.app import App
from assistant.commands.documents import sync
from assistant.commands.who import actor
from assistant.declared_checks import forget_unused_copies
from assistant.signing import is_signed, key_of, sign_anew
from assistant.verbs import Event
from knowledge.ingest import forget_workspace
from storage.adapters import adapter, list_adapters, serving_adapter
from storage.errors import ApprenticeError, Refused

AT_ONCE = 5000
"""Vectors read at once: Chroma names each to SQLite, which takes 32,766 names."""


def ready(app: App, *, workspace_id: int) -> Iterator[Event]:
    """The new cell, before anything comes: its key has met its data directory.

    Later it would sign what came with the workspace as if that had always lain there.
    """
    with closing(app.db()) as db:
        is_signed(app.settings, db, 0)
    yield {"workspace_id": workspace_id}


def give(app: App, *, workspace_id: int, to: str) -> Iterator[Event]:
    """The former cell: its vectors into the new file `to` ("": none), and which adapters to trust.

    Those are signed by this house's key, or signatures are off here.
    """
    vectors = _write_vectors(app, workspace_id, Path(to)) if to else 0
    with closing(app.db()) as db:
        made = [item.id for item in list_adapters(db, workspace_id)]
        there = [number for number in made if app.adapter_folder(number).is_dir()]
        trusted = [number for number in there if is_signed(app.settings, db, number)]
    yield {"vectors": vectors, "trusted": trusted}


def take(app: App, *, workspace_id: int, vectors: str, trusted: list[int]) -> Iterator[Event]:
    """The new cell: vectors from a file, the rest embedded; trusted adapters verified and signed.

    Refused where another base model answers than the adapter that serves was taught on.
    """
    with closing(app.db()) as db:
        _fits(app, db, workspace_id)
        if vectors:
            _read_vectors(app, Path(vectors))
        elif app.has("embedder"):  # else the next server's start fills it
            sync(app, db, workspace_id)
        if key_of(app.settings) is not None:
            for number in trusted:
                if not is_signed(app.settings, db, number):
                    known, folder = adapter(db, number), app.adapter_folder(number)
                    sign_anew(app.settings, db, known, folder, actor())
        serving = serving_adapter(db, workspace_id)
    said = ""
    if serving is not None and app.has("engine"):
        try:
            app.load_adapter(serving.id)
        except ApprenticeError as error:
            said = str(error)
    yield {"workspace_id": workspace_id, "not_loaded": said}


def hold(app: App, *, workspace_id: int, seconds: float, cut: bool) -> Iterator[Event]:
    """The former cell: replies under way get so many seconds, the rest is cut off and saved."""
    yield {"left": app.under_way.end_in(workspace_id, seconds, cut=cut)}


def forget(app: App, *, workspace_id: int, adapters: list[int]) -> Iterator[Event]:
    """The former cell: nothing of the workspace stays in memory or in the search index."""
    for number in adapters:
        app.forget_adapter(number)
    forget_workspace(app.datadir, app.index, workspace_id)
    forget_unused_copies(app)
    yield {"workspace_id": workspace_id}


def _fits(app: App, db: Database, workspace_id: int) -> None:
    serving, base = serving_adapter(db, workspace_id), app.base_if_here()
    if serving and base and serving.base_fingerprint != base.fingerprint:
        raise Refused(
            f"Adapter {serving.id} was taught on another base model than the one that answers in "
            "the cell it would go to: give both cells the same base model, then move."
        )


def _collections(app: App, workspace_id: int) -> list[str]:
    kinds = tuple(f"{kind}-{workspace_id}-" for kind in ("chunks", "corrections"))
    return [name for name in app.index.collections() if name.startswith(kinds)]


def _write_vectors(app: App, workspace_id: int, path: Path) -> int:
    arrays: dict[str, Any] = {}
    names: dict[str, str] = {}
    written = 0
    for number, name in enumerate(_collections(app, workspace_id)):
        hashes = app.index.hashes(name)
        ids = list(hashes)
        parts = [
            app.index.vectors(name, ids[start : start + AT_ONCE])
            for start in range(0, len(ids), AT_ONCE)
        ]
        found = [one for known, _ in parts for one in known]
        if found:
            arrays[f"ids_{number}"] = np.array(found, np.int64)
            arrays[f"vectors_{number}"] = np.concatenate([vectors for _, vectors in parts])
            names[str(number)] = json.dumps([name, [hashes[one] for one in found]])
            written += len(found)
    if arrays:  # a file of none cannot be read again
        save_file(arrays, path, names)
    return written


def _read_vectors(app: App, path: Path) -> None:
    if not path.exists():
        return
    with safe_open(path, framework="numpy") as file:
        for number, said in (file.metadata() or {}).items():
            name, hashes = json.loads(said)
            ids, vectors = (file.get_tensor(f"{kind}_{number}") for kind in ("ids", "vectors"))
            app.index.upsert(name, ids.tolist(), vectors, hashes)
