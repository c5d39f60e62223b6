"""A question on the chat page and where its reply is to stand."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.chat_view import entry, show
from assistant.chat_visit import (
    View,
    Visit,
    own_conversation,
    own_message,
    own_reply,
    visit,
)
from assistant.reply import ReplyOptions
from assistant.streams import Streams
from storage.conversations import feedback_of, open_thread, start_conversation, thread_to
from storage.errors import Refused
from storage.records import Message, Workspace

if TYPE_CHECKING:
    from assistant.app import App

_ANSWERING = "An answer is being made here: wait for it, or stop it."


@dataclass(frozen=True)
class Turn:
    """A reply on its way: the page as it is, what was asked, and the entries above the reply."""

    view: View
    workspace: Workspace
    owner: str
    question: str
    options: ReplyOptions
    above: list[dict[str, Any]]


def begin_turn(
    app: "App",
    streams: Streams,
    request: gr.Request,
    view: View,
    question: str,
    options: ReplyOptions,
) -> Turn:
    """The turn in the open conversation, or in a new one; Refused while one is answered there."""
    with visit(app, request, view.workspace) as caller:
        if view.conversation:
            found = own_conversation(caller, view.conversation)
            if streams.running(found.id):
                raise Refused(_ANSWERING)
        else:
            found = start_conversation(caller.db, caller.workspace.id, caller.person.owner)
        thread, asked = _above(caller, found.id, options), [entry("user", question.strip())]
        feedback = feedback_of(caller.db, found.id)
        above = show(thread, feedback, view.notices, words=caller.words).messages
        view = replace(view, conversation=found.id)
        above += [] if options.variant_of else asked
        return Turn(view, caller.workspace, caller.person.owner, question, options, above)


def _above(caller: Visit, conversation_id: str, options: ReplyOptions) -> list[Message]:
    """What stands above the question or the reply that is to come."""
    if options.variant_of:
        return thread_to(caller.db, own_reply(caller, options.variant_of).id)[:-1]
    if options.edit_of:
        return thread_to(caller.db, own_message(caller, options.edit_of, "user").id)[:-1]
    return open_thread(caller.db, conversation_id)
