"""`apprentice doctor`: every invariant that can be checked, each with what to do about it.

It reads and changes nothing, except that jobs of a dead process are marked when nobody else owns
the data directory, and that an install gets the name by which it shares a Chroma server. Works on
a broken directory too: a check that cannot be made is a finding.
"""

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from sqlite_utils import Database

from assistant.doctor_check import Check
from assistant.doctor_index import chroma_server
from assistant.doctor_models import base_model, known_bases, model_servers, room_for_base
from assistant.settings import Settings
from assistant.verbs import Event, Events, run
from storage.adapters import list_adapters
from storage.audit import audit_chain
from storage.client_databases import copies
from storage.database import faults, open_database, rows
from storage.datadir import DataDir, DataDirBusy, open_datadir, own
from storage.erasure import list_erasures
from storage.errors import ApprenticeError
from storage.feedback_seals import broken_seals
from storage.jobs import mark_dead, running_jobs
from storage.records import Adapter
from storage.soundness import way_back
from storage.users import list_users
from storage.workspaces import list_workspaces

# Lower versions have known holes: code from a crafted config (transformers CVE-2026-4372), from a
# checkpoint (torch CVE-2025-32434), files read through the web (gradio CVE-2026-28414).
FLOORS = {"torch": (2, 6), "transformers": (5, 3), "gradio": (6, 7)}
PACKAGES = (*FLOORS, "peft", "trl", "bitsandbytes", "xllamacpp", "chromadb", "sqlite-utils")
SQLITE_STRICT = (3, 37, 0)
SQLITE_SOUND = (3, 51, 3)
"""Before it, two processes that write at one instant can, very rarely, damage a WAL database."""
NETWORK = ("nfs", "cifs", "smb", "9p", "fuse", "afs", "ceph", "glusterfs", "lustre")
PASSING = ("tmpfs", "ramfs", "overlay")
SPACE_NEEDED = 200 * 2**20
SPACE_WANTED = 2 * 2**30
"""Bytes: a converted base model of 135M parameters takes 0.5 GB, a round's files far less."""


def examine(settings: Settings, *, bases: bool = False) -> Events:
    """Every check as an event; the exit code is 1 when something fails.

    With `bases` it is asked of the well-known base models alone, whether this machine has room.
    """
    failed = False
    for found in known_bases(settings) if bases else findings(settings):
        failed |= found.state == "fail"
        yield asdict(found)
    return 1 if failed else 0


def findings(settings: Settings) -> Iterator[Check]:
    """Every check, in order."""
    yield python_version()
    yield packages()
    yield sqlite_version()
    if not settings.data.exists():
        text = f"{settings.data.absolute()} is not there yet"
        yield Check("data directory", "warn", text, "Any verb that writes makes it.")
        return
    yield from folder(settings.data)
    try:
        datadir = open_datadir(settings.data)
        with closing(open_database(datadir.database)) as db:
            yield from _on_database(settings, datadir, db)
    except (ApprenticeError, sqlite3.Error) as error:
        remedy = way_back(DataDir(settings.data.expanduser().absolute()))
        yield Check("database", "fail", str(error), remedy)


def _on_database(settings: Settings, datadir: DataDir, db: Database) -> Iterator[Check]:
    yield database(datadir, db)
    yield audit(db)
    yield feedback(db)
    yield erasures(db)
    yield admins(db)
    yield base_model(settings, datadir)
    yield room_for_base(settings, datadir)
    if settings.engine == "remote":
        yield from model_servers(settings, datadir, db)
    yield from adapters(settings, datadir, db)
    yield from formats(db)
    yield from client_copies(datadir)
    yield owner(datadir, db)
    yield from chroma_server(settings, db)
    yield from index(settings)


def python_version() -> Check:
    """Python 3.11 and 3.12 are what we test on."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Check("python", "ok", version)
    return Check("python", "warn", version, "Use Python 3.11 or 3.12.")


def packages() -> Check:
    """The heavy libraries are there, and none is older than the fix of a known hole."""
    found, wrong = [], []
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        found.append(f"{name} {version}")
        if _numbers(version) < FLOORS.get(name, ()):
            wrong.append(f"{name} {version} has a known security hole")
    if wrong:
        return Check("packages", "fail", ", ".join(wrong), "Install again with `make install`.")
    return Check("packages", "ok", ", ".join(found))


def sqlite_version() -> Check:
    """New enough for strict tables, and whether it has the fix of the WAL bug."""
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < SQLITE_STRICT:
        return Check("sqlite", "fail", version, "Use a Python with SQLite 3.37 or newer.")
    if sqlite3.sqlite_version_info < SQLITE_SOUND:
        remedy = "Very rarely, two writers at one instant damage the file: keep copies of it."
        return Check("sqlite", "warn", f"{version}, older than 3.51.3", remedy)
    return Check("sqlite", "ok", version)


def folder(path: Path) -> Iterator[Check]:
    """The data directory: a private local folder that can be written and has room."""
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"apprentice")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        remedy = "Give this account the right to write there, or name another with --data."
        yield Check("data directory", "fail", f"{path.absolute()}: {why}", remedy)
        return
    yield _private(path)
    yield _local(filesystem(path))
    yield _room(shutil.disk_usage(path).free)


def _private(path: Path) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"{path.absolute()} can be entered by other accounts (mode {mode:o})"
        return Check("data directory", "warn", text, f"chmod 700 {path.absolute()}")
    return Check("data directory", "ok", str(path.absolute()))


def _local(kind: str) -> Check:
    if kind.startswith(NETWORK):
        remedy = "Locks and SQLite's WAL do not hold there: put the directory on a local disk."
        return Check("filesystem", "fail", kind, remedy)
    if kind in PASSING:
        remedy = "It may be gone after a restart: mount a lasting volume there."
        return Check("filesystem", "warn", kind, remedy)
    return Check("filesystem", "ok", kind)


def _room(free: int) -> Check:
    text = f"{free / 2**30:.1f} GB free"
    if free < SPACE_NEEDED:
        return Check("disk space", "fail", text, "Make room: at least 0.2 GB to go on.")
    if free < SPACE_WANTED:
        return Check("disk space", "warn", text, "Make room: 2 GB for a base model and rounds.")
    return Check("disk space", "ok", text)


def filesystem(path: Path) -> str:
    """The kind of filesystem that `path` is on, as Linux names it; "unknown" elsewhere."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    real = path.resolve()
    # The longest mount point above the path; of equal ones the last was mounted over the others.
    above = [
        (len(point), number, kind)
        for number, (_, point, kind, *_) in enumerate(mounts)
        if real.is_relative_to(point.replace("\\040", " "))
    ]
    return max(above)[2] if above else "unknown"


def database(datadir: DataDir, db: Database) -> Check:
    """SQLite's own full check of pages, indexes and references."""
    wrong = [text for row in rows(db, "pragma integrity_check") if (text := _only(row)) != "ok"]
    wrong = wrong or faults(db)
    if wrong:
        text = f"{len(wrong)} faults, first: {wrong[0]}"
        return Check("database", "fail", text, f"Stop the server. {way_back(datadir)}")
    size = rows(
        db, "select page_count * page_size as size from pragma_page_count, pragma_page_size"
    )
    return Check("database", "ok", f"sound, {size[0]['size'] / 2**20:.1f} MB")


def audit(db: Database) -> Check:
    """Every audit row follows from the one before it."""
    chain = audit_chain(db)
    if chain.kept:
        return Check("audit", "ok", chain.said)
    return Check("audit", "fail", chain.said, "Find out who can write to the database file.")


def feedback(db: Database) -> Check:
    """Every judgement says what was written when it was given or reviewed."""
    altered = broken_seals(db)
    if not altered:
        return Check("feedback", "ok", "every row is what was written")
    text = f"{len(altered)} rows are not what was written, first: {altered[0]}"
    remedy = "The disk or the memory fails: look at both, and reject or restore these rows."
    return Check("feedback", "fail", text, remedy)


def erasures(db: Database) -> Check:
    """Every erasure that was asked for is over, and its words were found nowhere."""
    known = list_erasures(db)
    for item in known:
        if item.state != "done":
            text = f"erasure {item.id} was cut off"
            return Check("erasures", "fail", text, "Start the server, or erase it again.")
        if not item.detail.get("verified"):
            remedy = f"See what certificates/{item.id}.md names, and delete it."
            return Check("erasures", "warn", f"erasure {item.id} is not verified", remedy)
    return Check("erasures", "ok", f"{len(known)} finished and verified" if known else "none")


def admins(db: Database) -> Check:
    """Somebody can log in to the admin page."""
    names = [user.name for user in list_users(db) if user.role == "admin"]
    if names:
        return Check("admin", "ok", ", ".join(names))
    remedy = "`apprentice users create NAME --role admin`, or the link that `serve` prints."
    return Check("admin", "warn", "there is no admin yet", remedy)


def adapters(settings: Settings, datadir: DataDir, db: Database) -> Iterator[Check]:
    """Every adapter is signed and is what its manifest says; a broken serving one is a failure."""
    for workspace in list_workspaces(db):
        for item in list_adapters(db, workspace.id):
            yield _adapter(settings, datadir, db, workspace.name, item)


def _adapter(
    settings: Settings, datadir: DataDir, db: Database, workspace: str, item: Adapter
) -> Check:
    from assistant.signing import trusted

    name = f"adapter {item.id}"
    try:
        trusted(settings, db, item, datadir.adapters / str(item.id))
    except ApprenticeError as error:
        if item.status == "serving":
            remedy = (
                f"`apprentice adapters rollback --workspace {workspace}`; the base answers now."
            )
            return Check(name, "fail", str(error), remedy)
        return Check(name, "warn", str(error), f"`apprentice adapters delete {item.id}`.")
    twice = ""
    if item.method in ("dora", "ia3", "bottleneck") and item.status == "serving":
        twice = "; torch_peft answers by it, and beside llamacpp the base is held twice"
    return Check(name, "ok", f"{item.status} in {workspace}, files verified{twice}")


def formats(db: Database) -> Iterator[Check]:
    """Replies are held to every strict format that a workspace has."""
    from assistant.decoding import format_check, format_fault

    for workspace in list_workspaces(db):
        if wrong := format_fault(workspace.settings):
            remedy = "Leave that out of the schema, or set strict_format=false."
            yield Check("format", "warn", f"{workspace.name}: {wrong}", remedy)
        elif format_check(workspace.settings):
            text = f"{workspace.name}: replies are held to the schema of its json check"
            yield Check("format", "ok", text)


def client_copies(datadir: DataDir) -> Iterator[Check]:
    """How old the copies of clients' databases are, which checks query."""
    for copy in copies(datadir.client_databases):
        name, days = f"copy of {Path(copy.source).name}", (time.time() - copy.made_at) / 86_400
        text = f"{copy.source}, copied {days:.1f} days ago"
        if copy.gone:
            remedy = "Put the file back, or take the check away: `apprentice workspaces set`."
            yield Check(name, "warn", f"{text}; the file is gone, its copy is in use", remedy)
        else:
            changed = "; the file has changed since: the next check copies it again"
            yield Check(name, "ok", text + (changed if copy.outdated else ""))


def owner(datadir: DataDir, db: Database) -> Check:
    """Who owns the directory, and whether jobs were left by a process that died."""
    from assistant.control import server_answers

    if server_answers(datadir):
        running = len(running_jobs(db))
        return Check("server", "ok", f"running, {running} jobs at work")
    try:
        with own(datadir):
            dead = mark_dead(db)
    except DataDirBusy as error:
        return Check("server", "ok", str(error).partition(":")[0])
    if dead:
        kinds = ", ".join(f"{job.kind} (job {job.id})" for job in dead)
        return Check("server", "warn", f"not running; killed at work: {kinds}", "Start it again.")
    return Check("server", "ok", "not running")


def index(settings: Settings) -> Iterator[Check]:
    """The search index holds what the database says; looked at by whoever owns the directory."""
    try:
        for event in run(settings, "doctor index", {}):
            yield _index(event)
    except DataDirBusy as error:
        yield Check("search index", "warn", f"not looked at: {error}", "Look again later.")
    except ApprenticeError as error:
        server = "Start that server: what it lacks is then made anew by itself."
        remedy = server if settings.chroma_url else "`apprentice documents reindex`."
        yield Check("search index", "fail", str(error), remedy)


def _index(event: Event) -> Check:
    name = f"search index of {event['workspace']}"
    if event["missing"] or event["stale"]:
        text = f"{event['missing']} chunks missing, {event['stale']} that should be gone"
        remedy = f"`apprentice documents reindex --workspace {event['workspace']}`."
        return Check(name, "fail", text, remedy)
    return Check(name, "ok", f"{event['chunks']} chunks")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdecimal())


def _only(row: dict[str, object]) -> str:
    return str(next(iter(row.values())))
