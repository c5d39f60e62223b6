"""The data directory: where everything lies, and which one process owns it."""

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.database import open_database, prepare_database
from storage.durable import sync
from storage.errors import BadInput, Refused
from storage.workspaces import ensure_default_workspace


class DataDirBusy(Refused):
    """Another process owns the data directory."""


@dataclass(frozen=True)
class DataDir:
    """The layout under `root`; `open_datadir` makes the folders."""

    root: Path

    @property
    def database(self) -> Path:
        """Every fact: one SQLite file."""
        return self.root / "apprentice.db"

    @property
    def documents(self) -> Path:
        """Copies of the ingested files."""
        return self.root / "documents"

    @property
    def chroma(self) -> Path:
        """The dense index: a cache, rebuilt from the database."""
        return self.root / "chroma"

    @property
    def models(self) -> Path:
        """Base models: a cache, fetched again when missing."""
        return self.root / "models"

    @property
    def rounds(self) -> Path:
        """One bundle folder per round id."""
        return self.root / "rounds"

    @property
    def adapters(self) -> Path:
        """One folder per adapter id."""
        return self.root / "adapters"

    @property
    def backups(self) -> Path:
        """Verified copies of the database."""
        return self.root / "backups"

    @property
    def client_databases(self) -> Path:
        """Copies of clients' SQLite files, which checks query."""
        return self.root / "client-databases"

    @property
    def certificates(self) -> Path:
        """What was erased: a certificate for each time, as JSON and Markdown."""
        return self.root / "certificates"

    @property
    def secret(self) -> Path:
        """Random secrets, one file each (see `read_secret`)."""
        return self.root / "secrets"

    @property
    def lock(self) -> Path:
        """Held by the owning process (see `own`)."""
        return self.root / ".lock"

    @property
    def socket(self) -> Path:
        """Where the server listens for commands."""
        return self.root / "server.sock"


def open_datadir(root: Path) -> DataDir:
    """Make what is missing under `root` (folders 0700, database, `default` workspace).

    Idempotent, and safe beside a running server. Raises BadInput when `root` is a file or cannot
    be written, Refused when its database is from a newer version.
    """
    datadir = DataDir(Path(root).expanduser().absolute())
    folders = (
        datadir.root,
        datadir.documents,
        datadir.chroma,
        datadir.models,
        datadir.rounds,
        datadir.adapters,
        datadir.backups,
        datadir.client_databases,
        datadir.certificates,
        datadir.secret,
    )
    for folder in folders:
        _make_folder(folder)
    prepare_database(datadir.database)
    with closing(open_database(datadir.database)) as db:
        ensure_default_workspace(db)
    return datadir


def _make_folder(folder: Path) -> None:
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync(folder.parent)
    except FileExistsError as error:
        raise BadInput(
            f"{folder} is a file, not a folder: name another data directory with --data."
        ) from error
    except OSError as error:
        raise BadInput(
            f"The folder {folder} cannot be made ({error.strerror}): "
            "name another data directory with --data, or give this user the right to write."
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadInput(
            f"The folder {folder} cannot be written: "
            "name another data directory with --data, or give this user the right to write."
        )


@contextmanager
def own(datadir: DataDir) -> Iterator[None]:
    """Hold the data directory for this process; the lock dies with it, however it dies.

    Raises DataDirBusy naming the process that holds it.
    """
    handle = _open_lock(datadir)
    try:
        _take(handle, datadir)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        # the file stays: removing it would let two processes lock two files of one name
        os.close(handle)


def _open_lock(datadir: DataDir) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(datadir.lock, flags, 0o600)
    except OSError as error:
        raise _unlockable(datadir, error) from error


def _take(handle: int, datadir: DataDir) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataDirBusy(
            f"The data directory {datadir.root} is used by process {_owner(handle)}: "
            "stop it first, or name another directory with --data."
        ) from error
    except OSError as error:
        raise _unlockable(datadir, error) from error


def _unlockable(datadir: DataDir, error: OSError) -> BadInput:
    return BadInput(
        f"The data directory {datadir.root} cannot be locked ({error.strerror}): "
        "put it on a local disk where this user may write."
    )


def _owner(handle: int) -> str:
    pid, _, host = os.pread(handle, 400, 0).decode(errors="replace").strip().partition(" ")
    return f"{pid} on {host}" if host else "(not yet known)"


def read_secret(datadir: DataDir, name: str) -> str:
    """The secret called `name`: 32 random bytes as text, made at the first call, mode 0600."""
    path = datadir.secret / name
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write_once(path: Path, text: str) -> None:
    """Write `path` whole or not at all; when two do it at once, the first one's text stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
        sync(path.parent)
