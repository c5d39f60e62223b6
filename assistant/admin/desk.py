"""Where an admin handler begins: who asks, in which workspace, with the right to."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
from sqlite_utils import Database

from assistant.chat_view import one_line
from assistant.security import Person, identify
from storage.errors import ApprenticeError, NotFound, Refused
from storage.feedback import feedback
from storage.records import Feedback, Workspace
from storage.workspaces import DEFAULT, list_workspaces, workspace_by_id

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
    server: str = ""
    """The address that the page was asked at, such as https://chat.example.com."""


@dataclass(frozen=True)
class Refresh:
    """A handler that shows a tab anew; `inputs` come after the workspace."""

    handler: Callable[..., Any]
    inputs: list[Any]
    outputs: set[Any]


def at_desk(
    app: "App",
    right: Right,
    work: Callable[..., Updates],
    *,
    silent: bool = False,
    fault: gr.Markdown | None = None,
) -> Callable[..., Any]:
    """`work(desk, *inputs)` as a Gradio handler whose first input is the workspace's id.

    The page stands behind a login, but an event is an address of its own: the person's right is
    checked here, at every event. What a person may be told becomes a message on the page, or
    stands at `fault`, beside the fields, and all that was typed stays. With `silent` nothing is
    shown to somebody without the right, and before the page has loaded it is about the workspace
    that will be chosen then: for events that the page sends by itself.
    """

    def handler(request: gr.Request, workspace_id: Any, *inputs: Any) -> Any:
        person = identify(request, app)
        if not right(person):
            if silent:
                return gr.skip()
            raise _not_done(Refused("You may not do this: log in as somebody who may."))
        place = fault
        try:
            with closing(app.db()) as db:
                number = _number(workspace_id) or (silent and asked_workspace(db, request).id)
                if not number:
                    place = None  # nothing is wrong with what was typed
                    raise Refused("The page was still loading: try again.")
                server = f"{request.url.scheme}://{request.url.netloc}"
                desk = Desk(app, db, person, workspace_by_id(db, number), server)
                done = work(desk, *inputs)
        except ApprenticeError as error:
            if place is None:
                raise _not_done(error) from None
            return {place: alert(str(error))}
        # Gradio takes no empty dictionary for "nothing has changed"
        return ({} if place is None else {place: alert("")}) | done or gr.skip()

    handler.__name__ = work.__name__
    return handler


def binder(
    app: "App", right: Right, workspace: gr.Dropdown, outputs: set[Any]
) -> Callable[..., None]:
    """`bind(event, work, *inputs)` for the events of a tab: the workspace is their first input.

    `bind` takes `silent` and `fault` as `at_desk` does, and what else Gradio's events take.
    """

    def bind(
        event: Any,
        work: Callable[..., Updates],
        *inputs: Any,
        silent: bool = False,
        fault: gr.Markdown | None = None,
        **more: Any,
    ) -> None:
        handler = at_desk(app, right, work, silent=silent, fault=fault)
        shown = outputs | ({fault} if fault else set())
        event(handler, [workspace, *inputs], shown, **{**QUIET, **more})

    return bind


def fault_place() -> gr.Markdown:
    """Where a form says what is wrong, to stand under its fields."""
    return gr.Markdown(visible=False, elem_classes="fault")


def alert(text: str) -> Any:
    """The update of a `fault_place`; '' takes away what it said."""
    return gr.update(value=f'<p role="alert">{one_line(text)}</p>', visible=bool(text))


def asked_workspace(db: Database, request: gr.Request) -> Workspace:
    """The workspace that the page's address names, else the default one."""
    asked = request.query_params.get("workspace")
    found = {item.name: item for item in list_workspaces(db)}
    return found.get(asked or DEFAULT, found[DEFAULT])


def chosen_feedback(desk: Desk, chosen: Any) -> Feedback:
    """The feedback chosen in a list, if it is of the workspace that is shown; else NotFound."""
    missing = NotFound("Choose a row of the list first.")
    if not isinstance(chosen, int):
        raise missing
    item = feedback(desk.db, chosen)
    if item.workspace_id != desk.workspace.id:
        raise missing
    return item


def _not_done(error: ApprenticeError) -> gr.Error:
    # Gradio shows it as HTML, and it may quote what somebody typed
    said = escape(str(error), quote=False)
    return gr.Error(said, title="Not done", print_exception=False)


def _number(value: Any) -> int:
    """An id from a list on the page; 0, which no row has, for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
