"""Verified copies of the data directory in a private dataset on the Hub, and back from there.

For a machine whose disk does not last, as a Space's: the live database stays on the local disk,
each changed state of it goes up as one file of `storage.backup`, and an empty data directory is
filled from the newest file that verifies.
"""

import json
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from assistant.purging import rewrite_certificates
from storage.backup import (
    forget_backup,
    holding_erased,
    make_backup,
    note_purged,
    recorded_backups,
    restore_backup,
    verify_backup,
)
from storage.content_digest import content_digest
from storage.database import open_database
from storage.datadir import DataDir, open_datadir
from storage.errors import ApprenticeError, BadInput, Refused
from storage.hub import HubFailed, make_repo, told

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

FOLDER = "snapshots"
KEPT = 3
"""Snapshots that stay in the dataset; older ones are deleted with their content."""
STATE = "snapshot.json"
"""In the data directory: the last snapshot, and the digest of what it holds."""
WAITS_S = (2.0, 5.0, 15.0)
"""Between tries to read the dataset at the start: without it nothing can be served."""
ACTOR = "system"


class Snapshots:
    """The snapshots of one data directory in the dataset `repo`."""

    def __init__(self, datadir: DataDir, repo: str) -> None:
        from huggingface_hub import HfApi  # late: 0.3 s

        self._datadir = datadir
        self._repo = repo
        self._api = HfApi()
        self._turn = threading.Lock()

    def save(self) -> str | None:
        """Bring what changed since the last snapshot to the Hub; its name, or None: nothing did.

        Raises HubFailed for what the Hub or the network say, Refused for a public dataset.
        """
        with self._turn, closing(open_database(self._datadir.database)) as db:
            digest = content_digest(db)
            last = _state(self._datadir)
            if digest == last.get("digest"):
                return None
            with told(self._repo):
                make_repo(self._api, self._repo, kind="dataset")
                before = _names(self._api, self._repo)
                name = f"{FOLDER}/{_stamp()}-{secrets.token_hex(3)}.tar.gz"
                self._upload(db, name)
            _remember(self._datadir, name, digest)
            if before and before[-1] != last.get("name"):
                log.warning(
                    "%s holds the snapshot %s, which is not of this data directory: nothing is "
                    "deleted there this time. Does a second server use it?",
                    self._repo,
                    before[-1],
                )
            else:
                self._delete(db, [*before, name])
        return name

    def _upload(self, db: Database, name: str) -> None:
        """Make the copy, upload it, and compare what the Hub then has with it."""
        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
            file = Path(scratch) / Path(name).name
            made = make_backup(self._datadir, file, actor=ACTOR, place=self._place(name))
            try:
                self._api.upload_file(
                    path_or_fileobj=file,
                    path_in_repo=name,
                    repo_id=self._repo,
                    repo_type="dataset",
                    commit_message=f"Snapshot of {made.created_at}",
                )
                if _there(self._api, self._repo, name) != (made.size, made.hash):
                    raise HubFailed(f"{self._place(name)} is not what was sent: it is sent again.")
            except BaseException:
                forget_backup(db, made.id)
                raise

    def _delete(self, db: Database, names: Sequence[str]) -> None:
        """Those past KEPT, and all that may hold what was erased, out of the history too."""
        erased = {item.path for item in holding_erased(db)}
        gone = {name for name in names[:-1] if self._place(name) in erased} | {*names[:-KEPT]}
        if not gone:
            return
        with told(self._repo):
            files = self._api.list_lfs_files(self._repo, repo_type="dataset")
            stale = [one for one in files if one.filename in gone]
            self._api.permanently_delete_lfs_files(
                self._repo, stale, rewrite_history=True, repo_type="dataset"
            )
        for known in recorded_backups(db):
            if known.path in map(self._place, gone):
                note_purged(db, known, "deleted", actor=ACTOR)
        rewrite_certificates(db, self._datadir)

    def _place(self, name: str) -> str:
        return f"hf://datasets/{self._repo}/{name}"


@contextmanager
def kept(app: "App") -> Iterator[None]:
    """While the block runs, a snapshot every `snapshot_minutes` in which something changed, and a
    last one at its end; adapters that serve are pushed. Nothing where no dataset is named."""
    if not app.settings.snapshots:
        yield
        return
    snapshots, ended = Snapshots(app.datadir, app.settings.snapshots), threading.Event()

    def work() -> None:
        while not ended.wait(app.settings.snapshot_minutes * 60):
            _tried(snapshots.save)
            _tried(lambda: _push_serving(app))

    thread = threading.Thread(target=work, name="snapshots", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _tried(snapshots.save)


def restore_newest(repo: str, root: Path, waits: Sequence[float] = WAITS_S) -> str | None:
    """Fill the empty data directory `root` from the newest snapshot that verifies; its name.

    A dataset that is not there is made, private. None when there is data already, which is never
    overwritten, or no snapshot yet. Raises HubFailed when the dataset cannot be read, and Refused
    when none of its snapshots verifies: an empty database would be saved as the newest one.
    """
    root = root.expanduser().absolute()
    if root.is_dir() and any(root.iterdir()):
        return None
    from huggingface_hub import HfApi

    api = HfApi()
    # made here already: a dataset that this token may not see looks like none at all
    _patiently(lambda: make_repo(api, repo, kind="dataset"), repo, waits)
    names = _patiently(lambda: _names(api, repo), repo, waits)
    for name in reversed(names):
        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
            file = _patiently(lambda: _fetched(api, repo, name, scratch), repo, waits)  # noqa: B023
            try:
                verify_backup(file)
            except BadInput as error:
                log.error("the snapshot %s is left out: %s", name, error)
                continue
            restore_backup(file, root)
        datadir = open_datadir(root)
        with closing(open_database(datadir.database)) as db:
            _remember(datadir, name, content_digest(db))
        log.warning("the data directory was filled from %s", name)
        return name
    if names:
        raise Refused(
            f"None of the {len(names)} snapshots in {repo} verifies, so nothing is served: put a "
            "good one there, or name another dataset in APPRENTICE_SNAPSHOTS to begin anew."
        )
    return None


def _push_serving(app: "App") -> None:
    """Push each adapter that serves and is not there yet."""
    from assistant.push import push_adapter
    from storage.adapters import serving_adapter
    from storage.copies import copies_of
    from storage.workspaces import list_workspaces

    repo = app.settings.adapters
    if not repo:
        return
    with closing(app.db()) as db:
        serving = [serving_adapter(db, one.id) for one in list_workspaces(db)]
        wanted = [
            one.id
            for one in filter(None, serving)
            if not any(
                copy.kind == "push" and copy.hash == one.manifest_hash
                for copy in copies_of(db, [one.id])
            )
        ]
    for adapter_id in wanted:
        place = push_adapter(app, adapter_id, repo, public=False, actor=ACTOR)
        log.info("adapter %d is in %s", adapter_id, place)


def _tried(work: Any) -> None:
    """Work in the background: what goes wrong is told in the log, and the next time tries again."""
    try:
        work()
    except ApprenticeError as error:
        log.error("%s", error)
    except Exception:
        log.exception("a snapshot or a push failed")


def _patiently(work: Any, repo: str, waits: Sequence[float]) -> Any:
    for wait in (*waits, None):
        try:
            with told(repo):
                return work()
        except HubFailed as error:
            if wait is None:
                raise
            log.warning("%s", error)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _names(api: Any, repo: str) -> list[str]:
    """The snapshots in the dataset, oldest first."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        found = list(api.list_repo_tree(repo, FOLDER, repo_type="dataset"))
    except EntryNotFoundError:
        return []
    return sorted(one.path for one in found if one.path.endswith(".tar.gz"))


def _there(api: Any, repo: str, name: str) -> tuple[int, str] | None:
    """Size and sha256 of a file as the Hub has it."""
    found = api.get_paths_info(repo, [name], repo_type="dataset")
    return (found[0].size, found[0].lfs.sha256) if found and found[0].lfs else None


def _fetched(api: Any, repo: str, name: str, folder: str) -> Path:
    return Path(api.hf_hub_download(repo, name, repo_type="dataset", local_dir=folder))


def _stamp() -> str:
    """The time now, by which names sort."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _state(datadir: DataDir) -> dict[str, str]:
    try:
        found = json.loads((datadir.root / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(datadir: DataDir, name: str, digest: str) -> None:
    (datadir.root / STATE).write_text(json.dumps({"name": name, "digest": digest}))
