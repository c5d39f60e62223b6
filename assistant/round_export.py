"""A round's bundle taken along, to be trained anywhere by `python -m tuning.run BUNDLE OUT`.

It holds what people wrote, so that it left the house is on record before it has.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.folders import new_folder
from storage.audit import audit
from storage.copies import record_copy
from storage.erasure import refuse_emptied
from storage.errors import NotFound
from storage.rounds import tuning_round
from tuning.bundle import bundle_hash

START = "start"
"""The folder of the adapter that the round goes on from; training looks for it there by itself."""


def bundle_folders(app: App, db: Database, round_id: int) -> dict[str, Path]:
    """The folders of a round's bundle by their place in it: "" and perhaps START.

    Raises NotFound where the bundle or the adapter it goes on from is gone, Refused after an
    erasure.
    """
    parent = tuning_round(db, round_id).start_adapter_id
    refuse_emptied(db, round_id)
    bundle = app.datadir.rounds / str(round_id) / "bundle"
    if not bundle.is_dir():
        raise NotFound(f"The bundle of round {round_id} is not in {bundle}: start a new round.")
    if parent is None:
        return {"": bundle}
    if not app.adapter_folder(parent).is_dir():
        raise NotFound(
            f"The round goes on from adapter {parent}, which is gone: start a new round."
        )
    return {"": bundle, START: app.adapter_folder(parent)}


def export_bundle(app: App, round_id: int, to: Path, *, actor: str) -> None:
    """Copies the bundle to the new folder `to`. BadInput when it exists."""
    with closing(app.db()) as db:
        folders = bundle_folders(app, db, round_id)
        with new_folder(to) as draft:
            for place, folder in folders.items():
                shutil.copytree(folder, draft / place, dirs_exist_ok=True)
            record_leaving(db, round_id, bundle_hash(draft), str(to), actor)


def zipped_bundle(app: App, round_id: int, *, place: str, actor: str) -> IO[bytes]:
    """The bundle as an open zip file without a name, so that nothing of it is left once closed.

    In it everything is in a folder `bundle`. `place` is where it goes, for the record.
    """
    with closing(app.db()) as db:
        folders = bundle_folders(app, db, round_id)
        file = tempfile.TemporaryFile(dir=app.datadir.rounds)  # noqa: SIM115  handed out open
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, name in _files(folders):
                    archive.write(path, f"bundle/{name}")
            record_leaving(db, round_id, bundle_hash(folders[""]), place, actor)
        except BaseException:
            file.close()
            raise
    file.seek(0)
    return file


def _files(folders: dict[str, Path]) -> Iterator[tuple[Path, str]]:
    for place, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, str(Path(place) / path.relative_to(folder))


def record_leaving(db: Database, round_id: int, hash: str, place: str, actor: str) -> None:
    """Notes that a round's bundle, and the adapter that it goes on from, goes to `place`."""
    parent = tuning_round(db, round_id).start_adapter_id
    if parent is not None:
        record_copy(db, kind="export", adapter_id=parent, place=place, format="peft", actor=actor)
    record_copy(
        db,
        kind="bundle",
        round_id=round_id,
        place=place,
        format="bundle",
        actor=actor,
        hash=hash,
    )
    audit(db, actor, "round exported", f"round:{round_id}")
