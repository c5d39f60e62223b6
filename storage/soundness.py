"""Whether the database file may be served, and which copy takes its place if not.

SQLite notices a bad page only when a query meets it; until then it answers from what is left. So
the server reads all of it once, before it changes anything.
"""

import shlex
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from storage.backup import recorded_backups, verify_backup
from storage.database import open_database, page_faults
from storage.datadir import DataDir
from storage.errors import ApprenticeError, BadInput, Refused

_ENDINGS = (".tar", ".tar.gz", ".tgz")


class DatabaseDamaged(Refused):
    """The file is not what SQLite wrote."""


def refuse_damaged(datadir: DataDir) -> None:
    """Raises DatabaseDamaged, with how to go on, unless the file is sound or not there yet."""
    if not datadir.database.is_file():
        return
    fault = _first_fault(datadir.database)
    if fault is not None:
        raise DatabaseDamaged(
            f"The database {datadir.database} is damaged ({fault}): nothing was changed and "
            f"nothing is served. {way_back(datadir)}"
        )


def newest_backup(datadir: DataDir) -> tuple[Path, str] | None:
    """The newest copy that verifies now, and the moment it holds: known to the rows, or lying in
    `backups`."""
    places = {path for path in datadir.backups.glob("*") if path.name.endswith(_ENDINGS)}
    # of a damaged file some rows may still be read
    with suppress(ApprenticeError, sqlite3.Error), closing(open_database(datadir.database)) as db:
        places |= {Path(one.path) for one in recorded_backups(db) if "://" not in one.path}
    there = [path for path in places if path.is_file()]
    for path in sorted(there, key=lambda one: one.stat().st_mtime, reverse=True):
        with suppress(BadInput):
            return path, str(verify_backup(path)["created_at"])
    return None


def _first_fault(path: Path) -> str | None:
    try:
        with closing(open_database(path)) as db:
            found = page_faults(db)
    except BadInput as error:
        return str(error.__cause__ or error)
    except sqlite3.DatabaseError as error:  # some damage ends the check itself
        return str(error)
    # with several lines it names the tree first: the sentence stays one
    return " ".join(found[0].split()) if found else None


def way_back(datadir: DataDir) -> str:
    """What to type to serve the newest copy that verifies, or what else can be done."""
    known, root = newest_backup(datadir), datadir.root
    if known is None:
        return (
            "No copy that verifies is known here: restore one from elsewhere into a new folder "
            f"(`apprentice restore FILE --data NEW`), or save what can still be read with "
            f"`sqlite3 {datadir.database} .recover`."
        )
    path, made = known
    aside = root.with_name(f"{root.name}.damaged")
    if path.is_relative_to(root):
        path = aside / path.relative_to(root)
    old, new, file = (shlex.quote(str(one)) for one in (aside, root, path))
    return (
        f"The newest copy that verifies is of {made}: `mv {new} {old}`, then "
        f"`apprentice restore {file} --data {new}`."
    )
