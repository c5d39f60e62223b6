"""A verified copy of everything that must survive, in one tar file, made while serving.

| in it | not in it, because |
|---|---|
| `apprentice.db`, one moment of it | `chroma/`, `models/`: made again |
| `documents/`, `adapters/` without GGUFs | `rounds/`: what a round was made of goes stale |
| `secrets/`, `certificates/` | `backups/` |
| `manifest.json`, written last: size and sha256 of each file | |

A copy counts only when it has been opened again, each file compared and the database checked.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlite_utils import Database

from storage.audit import audit
from storage.backup_archive import DATABASE, FOLDERS, FORMAT, MANIFEST, unpacked
from storage.database import (
    LATEST,
    NOW,
    insert,
    one,
    open_database,
    rows,
    write,
    write_transaction,
)
from storage.datadir import DataDir, open_datadir
from storage.durable import put
from storage.errors import BadInput, Refused

TRIES = 5
"""How often to begin anew when documents or adapters change while they are copied."""
Say = Callable[[float, str], None]
_COLUMNS = "id, path, size, hash, actor, created_at, purged_at"


@dataclass(frozen=True)
class Backup:
    """One copy. `created_at` is when the database was read; `purged_at` None: not deleted by us.

    A `path` with `://` is not on this disk: whoever brought it there deletes it.
    """

    id: int
    path: str
    size: int
    hash: str
    actor: str
    created_at: str
    purged_at: str | None = None


def make_backup(
    datadir: DataDir,
    target: Path,
    *,
    actor: str,
    place: str = "",
    say: Say = lambda share, note: None,
) -> Backup:
    """Write the copy to the new file `target` (gzip when it ends in .gz or .tgz) and verify it.

    The row is there before the file, so that an erasure meanwhile names it. It names `place`, where
    the file is then brought, or the file itself. `say` hears how far it is and may raise: then
    nothing is left. BadInput when `target` exists or cannot be written, Refused when documents
    change too fast to be copied.
    """
    if target.exists():
        raise BadInput(f"{target} exists already: name a new file.")
    with closing(open_database(datadir.database)) as db:
        backup_id = _begin(db, place or str(target.absolute()), actor)
        try:
            size, digest = _write(datadir, db, target, say)
        except BaseException as error:
            forget_backup(db, backup_id)
            if isinstance(error, OSError):
                said = (error.strerror or str(error)).lower()
                text = f"The backup cannot be written to {target} ({said}): name another place."
                raise BadInput(text) from error
            raise
        with write_transaction(db):
            sql = "update backups set size = ?, hash = ? where id = ?"
            write(db, sql, size, digest, backup_id)
            audit(db, actor, "backup made", f"backup:{backup_id}")
        return backup(db, backup_id)


def verify_backup(path: Path) -> dict[str, Any]:
    """The manifest of a backup whose every file is what it says; BadInput for any other file."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        return unpacked(path, Path(scratch), only_database=True)


def restore_backup(path: Path, root: Path) -> dict[str, Any]:
    """Make the data directory `root` from a backup; returns its manifest.

    Everything is unpacked beside, verified, and renamed: `root` is whole or not there. Refused
    when there is something in `root`, BadInput for a file that does not verify.
    """
    root = root.expanduser().absolute()
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise Refused(f"{root} is not empty: name a new data directory with --data.")
    staging = root.with_name(f".{root.name}.restoring")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        manifest = unpacked(path, staging)
        with closing(sqlite3.connect(staging / DATABASE)) as connection:
            connection.execute("pragma journal_mode = wal")
        with suppress(FileNotFoundError):
            root.rmdir()
        put(staging, root)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise BadInput(f"The backup cannot be restored to {root} ({said}).") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    open_datadir(root)
    return manifest


def backup(db: Database, backup_id: int) -> Backup:
    """The backup with this id."""
    row = one(db, f"select {_COLUMNS} from backups where id = ?", backup_id)
    if row is None:
        raise BadInput(f"There is no backup {backup_id}.")
    return Backup(**row)


def recorded_backups(db: Database) -> list[Backup]:
    """Those that were not purged, oldest first."""
    found = rows(db, f"select {_COLUMNS} from backups where purged_at is null order by id")
    return [Backup(**row) for row in found]


def holding_erased(db: Database) -> list[Backup]:
    """Backups made before something was erased: they may hold it."""
    found = rows(
        db,
        f"""select {_COLUMNS} from backups where purged_at is null
        and created_at < (select max(erased_at) from erasures) order by id""",
    )
    return [Backup(**row) for row in found]


def purge(db: Database, known: Backup, *, actor: str) -> str:
    """Delete a backup's file and note it; returns what was found there.

    `deleted`, `gone` (no file any more), or left alone: `another file`, or `elsewhere`, which is
    not on this disk and stays on record.
    """
    if "://" in known.path:
        return "elsewhere"
    path = Path(known.path)
    found = "gone"
    if path.is_file():
        same = path.stat().st_size == known.size and _sha256(path) == known.hash
        found = "deleted" if same else "another file"
    if found == "deleted":
        try:
            path.unlink()
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise Refused(f"{path} cannot be deleted ({said}): delete it yourself.") from error
    note_purged(db, known, found, actor=actor)
    return found


def note_purged(db: Database, known: Backup, found: str, *, actor: str) -> None:
    """Note that a backup is there no more, and what was found in its place."""
    with write_transaction(db):
        write(db, f"update backups set purged_at = {NOW} where id = ?", known.id)
        audit(db, actor, "backup purged", f"backup:{known.id}", {"found": found})


def forget_backup(db: Database, backup_id: int) -> None:
    """Take back the row of a copy that did not come about."""
    with write_transaction(db):
        write(db, "delete from backups where id = ?", backup_id)


# ---- writing


def _begin(db: Database, place: str, actor: str) -> int:
    with write_transaction(db):
        new = insert(db, "backups", path=place, size=0, hash="", actor=actor)
        write(db, f"update backups set created_at = {LATEST} where id = ?", new)
        return new


def _write(datadir: DataDir, db: Database, target: Path, say: Say) -> tuple[int, str]:
    """Size and hash of the finished file, which gets its name when it has been verified."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        draft = Path(scratch) / target.name
        for _ in range(TRIES):
            snapshot = Path(scratch) / DATABASE
            say(0.05, "copying the database")
            _snapshot(db, snapshot)
            with suppress(FileNotFoundError):  # a document that was removed just now
                say(0.3, "packing documents and adapters")
                _pack(datadir, snapshot, draft)
                if _files_of(db) == _files_in(snapshot):
                    break
        else:
            raise Refused("Documents or adapters keep changing: back up when the ingest is over.")
        snapshot.unlink()
        say(0.7, "verifying the copy")
        verify_backup(draft)
        size, digest = draft.stat().st_size, _sha256(draft)
        put(draft, target)
    return size, digest


def _snapshot(db: Database, path: Path) -> None:
    """One moment of the database as a single file; writers go on meanwhile."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as copy:
        os.chmod(path, 0o600)
        db.conn.backup(copy)
        copy.execute("pragma journal_mode = delete")


def _pack(datadir: DataDir, snapshot: Path, draft: Path) -> None:
    zipped = draft.suffix in (".gz", ".tgz")
    options: dict[str, Any] = {"compresslevel": 1} if zipped else {}
    files: dict[str, dict[str, Any]] = {}
    with (
        os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w:gz" if zipped else "w", **options) as tar,
    ):
        files[DATABASE] = _add(tar, DATABASE, snapshot)
        for path in _to_copy(datadir, snapshot):
            name = path.relative_to(datadir.root).as_posix()
            files[name] = _add(tar, name, path)
        manifest = {"format": FORMAT, "created_at": _now(snapshot), "files": files}
        _add_text(tar, MANIFEST, json.dumps({**manifest, "rows": _counts(snapshot)}))


def _to_copy(datadir: DataDir, snapshot: Path) -> Iterator[Path]:
    _, adapters = _files_in(snapshot)
    for folder in FOLDERS:
        for path in sorted((datadir.root / folder).rglob("*")):
            part = path.relative_to(datadir.root).parts
            if path.is_symlink() or not path.is_file() or any(one[0] == "." for one in part[1:]):
                continue
            if folder == "adapters" and (part[1] not in adapters or ".gguf" in path.name):
                continue
            yield path


def _files_of(db: Database) -> tuple[set[str], set[str]]:
    """Documents and adapters whose files must be there, as text ids."""
    documents = rows(db, "select id || ':' || hash as id from documents")
    adapters = rows(db, "select id from adapters where deleted_at is null")
    return {row["id"] for row in documents}, {str(row["id"]) for row in adapters}


def _files_in(snapshot: Path) -> tuple[set[str], set[str]]:
    with closing(open_database(snapshot)) as db:
        return _files_of(db)


def _now(snapshot: Path) -> str:
    with closing(open_database(snapshot)) as db:
        row = one(db, "select max(created_at) as at from backups")
        return str(row["at"]) if row else ""


def _counts(snapshot: Path) -> dict[str, int]:
    """Rows by table: what a person may compare."""
    with closing(open_database(snapshot)) as db:
        names = ("conversations", "messages", "feedback", "documents", "rounds", "adapters")
        return {name: db.table(name).count for name in names}


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.sha256.update(block)
        return block


def _add(tar: tarfile.TarFile, name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o600
        hashed = _Hashed(file)
        tar.addfile(entry, hashed)
    return {"bytes": entry.size, "sha256": hashed.sha256.hexdigest()}


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o600
    tar.addfile(entry, io.BytesIO(text.encode()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
