"""Where an admin handler begins: who asks, in which workspace, with the right to."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from sqlite_utils import Database

from assistant.security import Person, identify
from storage.errors import ApprenticeError, NotFound, Refused
from storage.feedback import feedback
from storage.records import Feedback, Workspace
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

Updates = dict[Any, Any]
Right = Callable[[Person], bool]

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For every event: no name in a public API, no veil over the page."""


@dataclass(frozen=True)
class Desk:
    """What a handler works with."""

    app: "App"
    db: Database
    person: Person
    workspace: Workspace


@dataclass(frozen=True)
class Refresh:
    """A handler that shows a tab anew; `inputs` come after the workspace."""

    handler: Callable[..., Any]
    inputs: list[Any]
    outputs: set[Any]


def at_desk(
    app: "App", right: Right, work: Callable[..., Updates], *, silent: bool = False
) -> Callable[..., Any]:
    """`work(desk, *inputs)` as a Gradio handler whose first input is the workspace's id.

    The page stands behind a login, but an event is an address of its own: the person's right is
    checked here, at every event. What a person may be told becomes a message on the page. With
    `silent` nothing is shown to somebody without the right, nor before a workspace is chosen: for
    events that the page sends by itself.
    """

    def handler(request: gr.Request, workspace_id: Any, *inputs: Any) -> Any:
        person = identify(request, app)
        if silent and not (right(person) and _number(workspace_id)):
            return gr.skip()
        try:
            if not right(person):
                raise Refused("You may not do this: log in as somebody who may.")
            with closing(app.db()) as db:
                workspace = workspace_by_id(db, _number(workspace_id))
                # Gradio takes no empty dictionary for "nothing has changed"
                return work(Desk(app, db, person, workspace), *inputs) or gr.skip()
        except ApprenticeError as error:
            raise gr.Error(str(error), title="Not done", print_exception=False) from None

    handler.__name__ = work.__name__
    return handler


def binder(
    app: "App", right: Right, workspace: gr.Dropdown, outputs: set[Any]
) -> Callable[..., None]:
    """`bind(event, work, *inputs)` for the events of a tab: the workspace is their first input.

    `bind` takes `silent` as `at_desk` does, and what else Gradio's events take.
    """

    def bind(
        event: Any, work: Callable[..., Updates], *inputs: Any, silent: bool = False, **more: Any
    ) -> None:
        handler = at_desk(app, right, work, silent=silent)
        event(handler, [workspace, *inputs], outputs, **{**QUIET, **more})

    return bind


def chosen_feedback(desk: Desk, chosen: Any) -> Feedback:
    """The feedback chosen in a list, if it is of the workspace that is shown; else NotFound."""
    missing = NotFound("Choose a row of the list first.")
    if not isinstance(chosen, int):
        raise missing
    item = feedback(desk.db, chosen)
    if item.workspace_id != desk.workspace.id:
        raise missing
    return item


def _number(value: Any) -> int:
    """An id from a list on the page; 0, which no row has, for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
