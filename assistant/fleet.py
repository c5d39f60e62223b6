"""The cells as a fleet: a new one added, what each has, the router told, a cut-off move settled."""

import logging
import os
import re
import shlex
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from sqlite_utils import Database

from assistant.router_config import Routed, nginx_config
from assistant.settings import Settings
from storage.cells import (
    Cell,
    add_cell,
    cell,
    list_cells,
    moving_lock,
    new_range,
    opened_cells,
    router_settings,
    unfinished,
)
from storage.database import open_beside, open_database, rows, write, write_transaction
from storage.datadir import DataDir, open_datadir, read_secret
from storage.durable import put
from storage.errors import BadInput, Refused
from storage.fences import place_of, set_place
from storage.id_ranges import begin_range, is_unused
from storage.workspaces import DEFAULT, list_workspaces

log = logging.getLogger(__name__)

RELOAD_S = 10
"""Seconds that the router's reload may take."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def as_cell(settings: Settings) -> Settings:
    """The settings of the cell's server: data directory and address as the file of cells has them.

    NotFound for an unknown cell or no file of cells.
    """
    with opened_cells(settings.cells) as db:
        known = cell(db, settings.cell)
    return settings.model_copy(update={"data": known.data, "host": known.host, "port": known.port})


def add(settings: Settings, name: str, address: str) -> Cell:
    """Make `settings.data` a cell. The first may be in use; another one has to be new.

    A new one signs cookies as the first does and gets its admins, so that who moves stays logged
    in. BadInput for a name that is none or taken, Refused for a data directory in use.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot name a cell: use up to 31 small letters, digits and -, starting "
            "with a letter or digit."
        )
    datadir = open_datadir(settings.data)
    with opened_cells(settings.cells, make=True) as cells:
        others = list_cells(cells)
        if others:
            with closing(open_database(datadir.database)) as db:
                unused = is_unused(db)
            if not unused:
                raise Refused(
                    f"{datadir.root} is in use: numbers there may be those of another cell's rows. "
                    "Add an empty data directory, and move workspaces into it."
                )
        made = add_cell(cells, name, datadir.root, address)
        if others:
            _settle_in(datadir, others[0].datadir, new_range(cells, name))
    return made


def _settle_in(datadir: DataDir, first: DataDir, number: int) -> None:
    read_secret(first, "cookies")
    draft = datadir.secret / ".cookies.arriving"
    draft.touch(mode=0o600)
    draft.write_bytes((first.secret / "cookies").read_bytes())
    put(draft, datadir.secret / "cookies")
    with closing(open_beside(datadir.database, first.database)) as db:
        begin_range(db, number)
        with write_transaction(db):
            columns = "id, name, role, password_hash, created_at"
            write(
                db,
                f"""insert into main.users ({columns})
                select {columns} from source.users where role = 'admin'""",
            )


def owned(datadir: DataDir) -> list[str]:
    """The names of the workspaces that a cell has, its own `default` left out."""
    with closing(open_database(datadir.database)) as db:
        return [item.name for item in list_workspaces(db) if item.name != DEFAULT]


def routed(known: Cell) -> Routed:
    """What the router is to send to a cell."""
    with closing(open_database(known.datadir.database)) as db:
        found = rows(
            db,
            """select shown, workspace_id from keys where kind = 'embed'
            and revoked_at is null order by id""",
        )
        keys = [
            str(row["shown"])
            for row in found
            if place_of(db, row["workspace_id"]) in ("here", "moving")
        ]
    server = urlsplit(known.address).netloc
    return Routed(known.name, server, owned(known.datadir), keys)


def router_text(cells: Database) -> str:
    """The router's configuration as it should be now. BadInput where its domain is not set."""
    known = router_settings(cells)
    if "domain" not in known:
        raise BadInput("The router's domain is not known: `apprentice cells config --domain D`.")
    found = [routed(one) for one in list_cells(cells)]
    return nginx_config(found, domain=known["domain"], listen=known.get("listen", "80"))


def tell_router(cells: Database) -> str:
    """Write the router's file and have it read, as far as both are set; returns what failed."""
    known = router_settings(cells)
    if "file" not in known:
        return ""
    place = Path(known["file"])
    try:
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        draft.write_text(router_text(cells))
        put(draft, place)
        if known.get("reload"):
            subprocess.run(
                shlex.split(known["reload"]), check=True, capture_output=True, timeout=RELOAD_S
            )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        return f"The router was not told ({said.decode(errors='replace').strip()[:300]})."
    return ""


def settle(settings: Settings) -> None:
    """Let this cell answer for what is its own, after a move that was cut off.

    Does nothing while a move is at work. The rows are left to `cells move`.
    """
    if not settings.cell:
        return
    with opened_cells(settings.cells) as cells:
        if not any(settings.cell in (one.source, one.target) for one in unfinished(cells)):
            return
        try:
            with moving_lock(settings.cells):
                _settle(cells, settings.cell)
        except Refused:
            return


def _settle(cells: Database, name: str) -> None:
    here = cell(cells, name).datadir
    for one in unfinished(cells):
        with closing(open_database(here.database)) as db:
            place = place_of(db, one.workspace_id)
            if one.owner == name and place in ("moving", "arriving"):
                set_place(db, one.workspace_id, "here", "none")
                log.warning("the move of %s was cut off: it is answered for here", one.workspace)
            elif one.source == name and one.flipped_at and place in ("here", "moving"):
                set_place(db, one.workspace_id, "gone", "all")
