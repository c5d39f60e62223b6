"""Every plot by its name, from the rows it is drawn of: for the page's files and the verb."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.admin.before_after_plot import before_after_plot
from assistant.admin.loss_plot import CURVES, loss_plot, right_by_round
from assistant.admin.map_plot import map_plot
from assistant.admin.ratings_plot import ratings_plot
from assistant.admin.served_plot import served_plot
from assistant.plots import Plot
from assistant.security import may_administer, may_see
from assistant.teach_next import teach_next
from knowledge.document_map import DocumentMap, OnProgress, document_map
from storage.errors import BadInput, NotFound
from storage.overview import rated_weeks
from storage.records import TuningRound, Workspace
from storage.rounds import list_rounds, metrics, tuning_round
from storage.servings import servings
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App
    from assistant.security import Person


@dataclass(frozen=True)
class Wanted:
    """What a plot is drawn from."""

    app: "App"
    db: Database
    workspace: Workspace
    on_progress: OnProgress = lambda share, note: None


def open_questions_map(wanted: Wanted) -> DocumentMap:
    """The documents of the workspace and what was not answered well, the most asked first."""
    topics = teach_next(wanted.app, wanted.db, wanted.workspace)
    questions = [question for topic in topics for question in topic.questions]
    return document_map(
        wanted.db,
        wanted.app.index,
        wanted.app.embedder,
        wanted.workspace.id,
        questions,
        on_progress=wanted.on_progress,
    )


def served_by(db: Database, workspace_id: int) -> Plot:
    """What the adapters that served had right, until now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return served_plot(servings(db, workspace_id), now)


def drawn_of_round(db: Database, item: TuningRound, name: str) -> Plot:
    """What a round noted at each step, or the bars of before and after."""
    if name == "rounds":
        return before_after_plot(item.scores.get("scores") or {})
    noted, called = CURVES[name]
    return loss_plot([(step, value) for step, _, value in metrics(db, item.id, noted)], called)


OF_ROUND = (*CURVES, "rounds")
OF_WORKSPACE: dict[str, Callable[[Wanted], Plot]] = {
    "history": lambda it: right_by_round(list_rounds(it.db, it.workspace.id)),
    "ratings": lambda it: ratings_plot(rated_weeks(it.db, it.workspace.id)),
    "adapters": lambda it: served_by(it.db, it.workspace.id),
    "map": lambda it: map_plot(open_questions_map(it)),
}
NAMES = (*OF_ROUND, *OF_WORKSPACE)
HOLD_WORDS = {"map"}
"""Their files hold what people wrote, so each is on record, for an erasure to name."""
_FOR_REVIEWERS = {"ratings", "map"}
_MISSING = {
    "history": "needs two rounds that were judged",
    "ratings": "needs a thumb of the last weeks",
    "adapters": "needs an adapter that served and was judged by a round",
    "map": "needs documents that were taken in",
}


def may_have(person: "Person", name: str) -> bool:
    """Whether the plot is on a tab that this person has."""
    return may_see(person) if name in _FOR_REVIEWERS else may_administer(person)


def plot_of(wanted: Wanted, name: str, round_id: int | None = None) -> Plot:
    """The plot `name`; of this round, or of the workspace's newest that has it.

    BadInput for another name or a round where none belongs, NotFound where there is nothing to draw
    yet or the round is another workspace's.
    """
    if name in OF_ROUND:
        return _of_round(wanted, name, round_id)
    if name not in OF_WORKSPACE:
        raise BadInput(f"There is no plot {name!r}: there are {', '.join(NAMES)}.")
    if round_id is not None:
        raise BadInput(f"The plot {name} is of no single round: only {', '.join(OF_ROUND)} are.")
    plot = OF_WORKSPACE[name](wanted)
    if not plot.svg:
        raise NotFound(f"There is nothing to draw in {wanted.workspace.name!r}: {_why(name)}.")
    return plot


def _of_round(wanted: Wanted, name: str, round_id: int | None) -> Plot:
    db, workspace = wanted.db, wanted.workspace
    if round_id is None:
        found = list_rounds(db, workspace.id)
    else:
        found = [tuning_round(db, round_id)]
        if found[0].workspace_id != workspace.id:
            home = workspace_by_id(db, found[0].workspace_id).name
            raise NotFound(
                f"Round {round_id} is of the workspace {home!r}: add --workspace {home}."
            )
    drawn = (drawn_of_round(db, item, name) for item in found)
    plot = next((plot for plot in drawn if plot.svg), None)
    if plot is None:
        which = f"round {round_id}" if round_id else f"a round of {workspace.name!r}"
        raise NotFound(f"There is nothing to draw of {which}: {_why(name)}.")
    return plot


def _why(name: str) -> str:
    return f"the plot {name} {_MISSING.get(name, 'needs a round that came that far')}"
