"""Who calls an event of the chat page, and what of theirs it is about.

Every event of a Gradio page is an address that anybody can call with anything, so each handler
begins with `visit`, and takes conversations and replies only from `own_conversation` and
`own_reply`.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
from sqlite_utils import Database

from assistant.chat_words import ENGLISH, Words, words_for
from assistant.security import Person, identify, may_read, usable_workspace
from storage.conversations import conversation, message
from storage.errors import ApprenticeError, NotFound, Refused
from storage.records import Conversation, Message, Role, Workspace

if TYPE_CHECKING:
    from assistant.app import App


@dataclass(frozen=True)
class View:
    """What one open page shows. The server keeps it, but believes it no more than a form field."""

    workspace: str = ""
    conversation: str = ""
    ids: tuple[str, ...] = ()
    """The message behind each entry of the chatbot, in its order."""
    notices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences given with replies while this page was open, by message id."""


@dataclass(frozen=True)
class Visit:
    """A caller who may use the workspace."""

    db: Database
    person: Person
    workspace: Workspace
    words: Words = ENGLISH


@contextmanager
def visit(app: "App", request: Any, workspace: str | None) -> Iterator[Visit]:
    """The visit, if the caller may use the workspace called so (None: their first one).

    What the caller may be told becomes a message on the page.
    """
    person, words = identify(request, app), words_for(request)
    with closing(app.db()) as db:
        try:
            found = usable_workspace(db, workspace or None, person)
            if found is None:
                raise NotFound("There is nothing here for you: log in, or reload the page.")
            if person.kind == "anonymous":
                raise Refused("Your browser sent no cookie of this site: allow it and reload.")
            yield Visit(db, person, found, words)
        except ApprenticeError as error:
            said = escape(words.of(str(error)), quote=False)  # Gradio shows it as HTML
            raise gr.Error(said, title=words("not_done"), print_exception=False) from None


def view_of(view: View, request: Any) -> View:
    """The page's view; what its address names if the server has drawn nothing for it yet.

    So it is for a question typed while the page still loads, and after a restart of the server.
    """
    if view.workspace:
        return view
    address = request.query_params
    return View(address.get("workspace") or "", address.get("conversation") or "")


def own_conversation(caller: Visit, conversation_id: str) -> Conversation:
    """The conversation, if it is the caller's and of this workspace.

    Raises the same NotFound for somebody else's as for one that never was.
    """
    missing = NotFound("There is no such conversation of yours in this workspace.")
    try:
        found = conversation(caller.db, conversation_id)
    except NotFound:
        raise missing from None
    if not may_read(found, caller.person) or found.workspace_id != caller.workspace.id:
        raise missing
    return found


def own_message(caller: Visit, message_id: str, role: Role | None = None) -> Message:
    """The message, if it is in a conversation of the caller's in this workspace and of this role.

    Raises the same NotFound whatever is the matter.
    """
    missing = NotFound("There is no such reply in your conversations.")
    try:
        found = message(caller.db, message_id)
        own_conversation(caller, found.conversation_id)
    except NotFound:
        raise missing from None
    if role not in (None, found.role):
        raise missing
    return found


def own_reply(caller: Visit, message_id: str) -> Message:
    """The assistant's message, if it is the caller's as `own_message` says."""
    return own_message(caller, message_id, "assistant")


def message_at(view: View, index: int | list[int], words: Words) -> str:
    """The id of the message that a chatbot event names by its position."""
    position = index if isinstance(index, int) else index[0]
    if not 0 <= position < len(view.ids):
        raise gr.Error(words("older_page"), title=words("not_done"), print_exception=False)
    return view.ids[position]
