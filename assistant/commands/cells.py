"""`apprentice cells add|list|config|move`: about the file of cells, not about one house."""

from pathlib import Path

from assistant import fleet
from assistant.commands.who import actor
from assistant.commands.working import Say, working
from assistant.moving import described, move_workspace
from assistant.settings import Settings
from assistant.verbs import Event, Events
from storage.cells import list_cells, moving_lock, opened_cells, set_router, unfinished
from storage.errors import Refused


def add(settings: Settings, name: str, address: str) -> Events:
    """Make the data directory a cell."""
    made = fleet.add(settings, name, address)
    yield {"cell": made.name, "data": str(made.data), "address": made.address}
    return 0


def list_all(settings: Settings) -> Events:
    """All cells with what they have."""
    with opened_cells(settings.cells) as cells:
        moves = unfinished(cells)
        for known in list_cells(cells):
            yield {
                "cell": known.name,
                "address": known.address,
                "data": str(known.data),
                "workspaces": fleet.owned(known.datadir),
                "moving": [f"{m.workspace} to {m.target}" for m in moves if m.owner == known.name],
            }
    return 0


def config(settings: Settings, to: Path | None, router: dict[str, str | None]) -> Events:
    """The router's configuration; written where it is remembered to be, if it is."""
    file = str(to.expanduser().absolute()) if to else None
    with opened_cells(settings.cells) as cells:
        set_router(cells, **router, file=file)
        text = fleet.router_text(cells)
        said = fleet.tell_router(cells) if file else ""
    if said:
        raise Refused(said)
    yield {"config": "" if file else text, "file": file}
    return 0


def move(settings: Settings, name: str, to: str) -> Events:
    """Move a workspace; it goes on where it was cut off."""

    def work(say: Say) -> Event:
        with moving_lock(settings.cells), opened_cells(settings.cells) as cells:
            return dict(
                described(move_workspace(settings, cells, name, to, actor=actor(), say=say))
            )

    yield (yield from working(work))
    return 0
