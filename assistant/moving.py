"""A workspace moved from one cell to another, in order: the page to read first.

Copied while the former cell serves; then it stands still while the rest is copied and compared;
then it is the new cell's, by one row in the file of cells. What was cut off is begun again or gone
on with by the same command; the former cell's rows go last, when all is proved.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlite_utils import Database

from assistant.fleet import tell_router
from assistant.settings import Settings
from assistant.verbs import run
from storage.audit import audit
from storage.cells import (
    Cell,
    Move,
    Step,
    begin_move,
    cell,
    list_cells,
    new_range,
    take_step,
    unfinished,
)
from storage.database import one, open_database, rows, write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.fences import place_of, set_place, unsaved_replies
from storage.id_ranges import begin_range
from storage.moved_acts import bring_acts
from storage.moved_files import bring_files, delete_folders, folders_of
from storage.moved_people import bring_people, let_former_admins_in, refuse_namesakes
from storage.row_copy import beside, bring_rows, counts_and_hash, delete_rows, differences
from storage.workspaces import DEFAULT

QUIET_S = 5.0
"""Seconds to wait for a moment without a reply under way before the workspace stands still."""
HELD_S = 0.5
"""Seconds that replies get while it stands still; then they are cut off and saved."""
SAVED_S = 0.5
"""And so many for their last words to reach the database."""
PASSES = 4
"""Comparisons at most until both sides are equal, when nobody writes."""

Say = Callable[[float | None, str], None]


@dataclass
class Work:
    """A move with what it needs."""

    settings: Settings
    cells: Database
    source: Cell
    target: Cell
    move: Move
    say: Say
    began: float = 0.0
    """When the workspace began to stand still (monotonic)."""
    still_ms: float = 0.0
    """For how long it did, in this run."""
    rows: int = 0
    trouble: str = ""
    """What a person should see to: the router that was not told, an adapter not loaded."""

    @property
    def id(self) -> int:
        """The workspace's."""
        return self.move.workspace_id

    def step(self, step: Step, proof: str = "") -> None:
        """Write down how far it has come."""
        self.move = take_step(self.cells, self.move, step, proof=proof)

    def at(self, end: Cell, verb: str, **arguments: Any) -> dict[str, Any]:
        """Run a verb in the process that owns a cell's data directory; returns its result."""
        settings = self.settings.model_copy(update={"data": end.data})
        events = run(settings, verb, {"workspace_id": self.id, **arguments})
        results = [event for event in events if "progress" not in event and "warning" not in event]
        return results[-1]


def move_workspace(
    settings: Settings, cells: Database, name: str, to: str, *, actor: str, say: Say
) -> Work:
    """Move the workspace to the cell `to`, or finish that; returns the work as it was done.

    NotFound for an unknown workspace or cell. Refused with what is in the way: the workspace is
    then where it was, and answered for.
    """
    target = cell(cells, to)
    known = next((item for item in unfinished(cells) if item.workspace == name), None)
    if known is None:
        source, workspace_id = find_workspace(cells, name)
        if source.name == target.name:
            raise BadInput(f"The workspace {name!r} is in the cell {to!r} already.")
        known = begin_move(cells, name, workspace_id, source.name, to, actor)
    elif known.source == to and known.flipped_at is None:
        return _take_back(settings, cells, known, say)
    known = begin_move(cells, name, known.workspace_id, known.source, to, actor)
    work = Work(settings, cells, cell(cells, known.source), target, known, say)
    try:
        for step in STEPS[_first(known) :]:
            step(work)
    except BaseException:
        if work.move.flipped_at is None:
            _answer_there(work)
        raise
    return work


def find_workspace(cells: Database, name: str) -> tuple[Cell, int]:
    """The cell that has the workspace, and its id. NotFound, or Refused for `default`."""
    if name == DEFAULT:
        raise Refused(f"Each cell has its own workspace {DEFAULT!r}: it stays; move another one.")
    for known in list_cells(cells):
        with closing(open_database(known.datadir.database)) as db:
            found = one(db, "select id from workspaces where name = ?", name)
            if found and place_of(db, found["id"]) in ("here", "moving"):
                return known, int(found["id"])
    raise NotFound(f"No cell has a workspace {name[:80]!r}: `apprentice cells list` shows them.")


def copy(work: Work) -> None:
    """Everything is copied while the former cell goes on; a copy that was cut off is completed."""
    _answer_there(work)
    work.at(work.target, "cells ready")
    with beside(work.target.datadir.database, work.source.datadir.database) as db:
        try:
            _refuse_what_is_in_the_way(db, work)
        except Refused:
            _call_off(work)
            raise
        _make_room(db, work)
        work.say(0.1, "copying files and rows")
        bring_files(work.source.datadir, work.target.datadir, work.id)
        work.rows = bring_rows(db, work.id)
    work.say(0.5, "copying the search index")
    with TemporaryDirectory(prefix=".moving-", dir=work.target.data) as folder:
        path = Path(folder) / "vectors.safetensors"
        given = work.at(work.source, "cells give", to=str(path))
        try:
            taken = work.at(work.target, "cells take", vectors=str(path), trusted=given["trusted"])
        except Refused:
            _call_off(work)
            raise
    work.trouble = taken["not_loaded"]
    with beside(work.target.datadir.database, work.source.datadir.database) as db:
        bring_rows(db, work.id)


def hold(work: Work) -> None:
    """The workspace stands still: replies under way are saved, and then nothing is written."""
    work.say(0.8, "waiting for a quiet moment")
    work.at(work.source, "cells hold", seconds=QUIET_S, cut=False)
    work.step("held")
    work.began = time.monotonic()
    with closing(open_database(work.source.datadir.database)) as db:
        set_place(db, work.id, "moving", "questions")
        work.at(work.source, "cells hold", seconds=HELD_S, cut=True)
        end = time.monotonic() + SAVED_S
        while unsaved_replies(db, work.id) and time.monotonic() < end:
            time.sleep(0.02)
        set_place(db, work.id, "moving", "all")


def finish_copy(work: Work) -> None:
    """The rest is copied, and both sides are compared row by row and by their hashes."""
    source, target = work.source.datadir, work.target.datadir
    with beside(target.database, source.database) as db:
        try:
            _refuse_what_is_in_the_way(db, work)
            bring_files(source, target, work.id)
            bring_people(db, work.id)
            for _ in range(PASSES):
                bring_rows(db, work.id, together=True)
                here, there = (counts_and_hash(one.database, work.id) for one in (source, target))
                if here == there:
                    break
        except Refused:
            _call_off(work)
            raise
        left = {} if here == there else differences(db, work.id)
        if here == there:
            _last_values(db, work.id)
    if here != there:
        _answer_there(work)
        raise Refused(
            f"The copy of {work.move.workspace!r} is not what it was made of ({left or here[0]}): "
            "it stays where it was. Try again, and report this if it comes back."
        )
    work.step("held", proof=json.dumps({"rows": here[0], "sha256": here[1]}))


def flip(work: Work) -> None:
    """The new cell has it: this row says so, whatever is cut off now."""
    work.step("flipped")


def place(work: Work) -> None:
    """Both sides as the file of cells says: gone there, here now. The router is told."""
    with closing(open_database(work.source.datadir.database)) as db:
        set_place(db, work.id, "gone", "all")
    with closing(open_database(work.target.datadir.database)) as db:
        set_place(db, work.id, "here", "none")
    said = tell_router(work.cells)
    work.trouble = " ".join(filter(None, (work.trouble, said)))
    if work.began:
        work.still_ms = (time.monotonic() - work.began) * 1000


def complete(work: Work) -> None:
    """What needs no haste: what was signed last, the index, and who did what until then."""
    work.say(0.9, "completing")
    given = work.at(work.source, "cells give", to="")
    work.at(work.target, "cells take", vectors="", trusted=given["trusted"])
    with beside(work.target.datadir.database, work.source.datadir.database) as db:
        bring_acts(db, work.id, move=work.move.id, source=work.source.name, actor=work.move.actor)
    work.step("settled")


def forget(work: Work) -> None:
    """The former cell lets go: memory and index, rows, files. Its own audit keeps what was done."""
    source = work.source.datadir
    folders = {*folders_of(source, work.id), *folders_of(work.target.datadir, work.id)}
    adapters = [int(folder.name) for folder in folders if folder.parent.name == "adapters"]
    _must_be_there(work)
    work.at(work.source, "cells forget", adapters=adapters)
    with closing(open_database(source.database)) as db:
        if one(db, "select 1 from workspaces where id = ?", work.id):
            detail = {"to": work.target.name, "move": work.move.id}
            audit(db, work.move.actor, "workspace moved away", f"workspace:{work.id}", detail)
    delete_rows(source.database, work.id)
    delete_folders(source, sorted(folders))
    work.step("done")


STEPS: tuple[Callable[[Work], None], ...] = (
    copy,
    hold,
    finish_copy,
    flip,
    place,
    complete,
    forget,
)
"""In order; each may be cut off and done again."""


def _first(move: Move) -> int:
    """Where to go on."""
    first = {"flipped": place, "settled": forget}.get(move.step, copy)
    return [step.__name__ for step in STEPS].index(first.__name__)


def _answer_there(work: Work) -> None:
    """The former cell answers as before."""
    with closing(open_database(work.source.datadir.database)) as db:
        if place_of(db, work.id) != "here":
            set_place(db, work.id, "here", "none")


def _call_off(work: Work) -> None:
    """What has arrived goes again; the workspace is where it was."""
    _answer_there(work)
    target = work.target.datadir
    with closing(open_database(target.database)) as db:
        arriving = place_of(db, work.id) == "arriving"
    if arriving:
        folders = folders_of(target, work.id)
        work.at(work.target, "cells forget", adapters=[])
        delete_rows(target.database, work.id)
        delete_folders(target, folders)
    work.step("cancelled")


def _take_back(settings: Settings, cells: Database, known: Move, say: Say) -> Work:
    """A move that was cut off before its end is called off: `--to` the cell that has it."""
    source, target = cell(cells, known.source), cell(cells, known.target)
    work = Work(settings, cells, source, target, known, say)
    _call_off(work)
    return work


def _refuse_what_is_in_the_way(db: Database, work: Work) -> None:
    """Raises Refused; `db` is the target's with the source's beside it."""
    name, to = work.move.workspace, work.target.name
    other = one(db, "select id from main.workspaces where name = ?", name)
    if other and other["id"] != work.id:
        raise Refused(f"The cell {to!r} has a workspace {name!r} of its own: delete or keep that.")
    busy = one(
        db,
        """select id, kind from source.jobs where workspace_id = ?
        and state in ('queued', 'running')""",
        work.id,
    )
    if busy:
        raise Refused(
            f"The workspace {name!r} has a {busy['kind']} going on (job {busy['id']}): cancel it "
            "or wait for its end, then move."
        )
    if one(db, "select 1 from source.erasures where state != 'done'"):
        raise Refused("An erasure is not finished: `apprentice erase` again, then move.")
    for row in rows(
        db,
        """select s.name from source.keys s join main.keys m on m.kind = s.kind
        and m.name = s.name and m.revoked_at is null and m.id != s.id
        where s.workspace_id = ? and s.revoked_at is null""",
        work.id,
    ):
        raise Refused(f"The cell {to!r} has a key {row['name']!r} too: revoke one, then move.")
    refuse_namesakes(db, work.id)


def _make_room(db: Database, work: Work) -> None:
    """A range of ids above all others for what the target makes itself; then the workspace's row,
    which nobody sees."""
    begin_range(db, new_range(work.cells, work.target.name))
    with write_transaction(db):
        write(
            db,
            """insert or ignore into main.workspaces (id, name, access, created_at)
            select id, name, access, created_at from source.workspaces where id = ?""",
            work.id,
        )
        set_place(db, work.id, "arriving", "none")
    bring_people(db, work.id)


def _last_values(db: Database, workspace_id: int) -> None:
    """The workspace's own row as it is now, and a way in for those who were the house's admins."""
    with write_transaction(db):
        write(
            db,
            """update main.workspaces set access =
            (select access from source.workspaces s where s.id = ?) where id = ?""",
            *(workspace_id, workspace_id),
        )
        let_former_admins_in(db, workspace_id)


def _must_be_there(work: Work) -> None:
    """Raises Refused unless the target answers for the workspace and its rows were proved."""
    with closing(open_database(work.target.datadir.database)) as db:
        there = one(db, "select 1 from workspaces where id = ?", work.id)
        if there is None or place_of(db, work.id) != "here" or not work.move.proof:
            raise Refused(
                f"The cell {work.target.name!r} does not answer for {work.move.workspace!r}: "
                "nothing is deleted. Look at its data directory, then move again."
            )


def described(work: Work) -> Iterator[tuple[str, Any]]:
    """What a person is told of a move that is over."""
    proof = json.loads(work.move.proof or '{"rows": {}}')
    yield from {
        "workspace": work.move.workspace,
        "from": work.source.name,
        "to": work.move.owner,
        "state": work.move.step,
        "still_ms": round(work.still_ms),
        "rows": sum(proof["rows"].values()),
        "sha256": proof.get("sha256", ""),
        "trouble": work.trouble,
    }.items()
