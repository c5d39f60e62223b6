"""Two cells with a workspace in the first, and how a test moves it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from assistant import fleet
from assistant.moving import Work, move_workspace
from assistant.settings import Settings, read_settings
from storage.cells import Cell, cell, moving_lock, opened_cells
from storage.database import open_database, rows
from storage.records import Workspace
from tests.full_workspace import full_workspace

NAME = "shop"


def settings_at(folder: Path, data: str, **more: object) -> Settings:
    """Settings of a command about the cells of `folder`."""
    return read_settings(data=folder / data, cells=folder / "cells.db", threads=1, **more)


def two_cells(folder: Path, *, ports: tuple[int, int] = (1, 2)) -> tuple[Cell, Cell]:
    """The cells `a` and `b`, empty."""
    made = [
        fleet.add(settings_at(folder, name), name, f"http://127.0.0.1:{port}")
        for name, port in zip("ab", ports, strict=True)
    ]
    return made[0], made[1]


def shop_in_a(folder: Path, **more: bool) -> Workspace:
    """The workspace NAME with all that one can have, in the first cell; another one beside it."""
    here = known(folder, "a").datadir
    with closing(open_database(here.database)) as db:
        full_workspace(here, db, "other", **more)
        return full_workspace(here, db, NAME, **more)


def known(folder: Path, name: str) -> Cell:
    with opened_cells(folder / "cells.db") as cells:
        return cell(cells, name)


def moved(folder: Path, to: str, name: str = NAME) -> Work:
    """Move it as the command does."""
    settings = settings_at(folder, "unused")
    with moving_lock(settings.cells), opened_cells(settings.cells) as cells:
        return move_workspace(settings, cells, name, to, actor="cli:t", say=lambda *_: None)


def owners(folder: Path) -> list[str]:
    """The cells that answer for it."""
    return [name for name in "ab" if NAME in fleet.owned(known(folder, name).datadir)]


def words(one: Cell) -> list[str]:
    """All that was ever said in a cell, as its rows have it."""
    with closing(open_database(one.datadir.database)) as db:
        found = rows(db, "select content from messages order by rowid")
    return [str(row["content"]) for row in found]


def settled(folder: Path) -> None:
    """As the servers of both cells do at their start and every few seconds."""
    for name in "ab":
        fleet.settle(settings_at(folder, name, cell=name))


def each(folder: Path) -> Iterator[Cell]:
    yield from (known(folder, name) for name in "ab")
