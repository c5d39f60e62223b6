"""`apprentice plot`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from assistant.app import App
from assistant.commands.folders import write_new
from assistant.commands.who import actor
from assistant.plot_sources import HOLD_WORDS, Wanted, plot_of
from assistant.plots import FORMS, as_file
from assistant.verbs import Event
from storage.copies import record_copy
from storage.errors import BadInput
from storage.workspaces import workspace as workspace_named


def draw(app: App, *, workspace: str, name: str, round: int | None, to: str) -> Iterator[Event]:
    """Write a plot as a new file: a drawing (.svg) or its numbers (.csv)."""
    path = Path(to)
    form = next((form for form in FORMS if path.suffix.lower() == f".{form}"), None)
    if form is None:
        raise BadInput(f"{path} is no drawing and no table: end its name in .svg or .csv.")
    if path.exists():
        raise BadInput(f"{path} exists already: name a new file.")
    with closing(app.db()) as db:
        plot = plot_of(Wanted(app, db, workspace_named(db, workspace)), name, round)
        if name in HOLD_WORDS:
            # on record before it is there: an erasure must be able to name it
            record_copy(db, kind="export", place=to, format=f"{name}.{form}", actor=actor())
    write_new(path, [as_file(plot, form)])
    yield {"plot": name, "file": to, "rows": len(plot.rows)}
