"""One's own conversations on the chat page: searched, named, taken back, one try chosen."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.chat_layout import Parts, problem_line
from assistant.chat_news import learned_of, shortened
from assistant.chat_view import Shown, show
from assistant.chat_visit import (
    View,
    Visit,
    message_at,
    own_conversation,
    own_message,
    view_of,
    visit,
)
from storage.attachments import made_with_files
from storage.conversations import (
    choose_try,
    feedback_of,
    go_back_to,
    list_conversations,
    open_thread,
    other_tries,
    rename_conversation,
)
from storage.errors import BadInput
from storage.records import Message

if TYPE_CHECKING:
    from assistant.app import App

RECENT = 30
"""Conversations in the list; the search finds older ones."""

Updates = dict[Any, Any]
Draw = Callable[..., Updates]


class HistoryEvents:
    """The search, the panel with the name, and the other tries under the last reply."""

    def __init__(self, app: "App", parts: Parts, draw: Draw) -> None:
        self._app = app
        self._parts = parts
        self._draw = draw

    def wire(self, quiet: dict[str, Any]) -> None:
        """Bind the handlers."""
        parts, side, naming = self._parts, self._parts.side, self._parts.naming
        panel = {naming.whole, naming.text, naming.problem}
        named = {*parts.drawn(), *panel}
        # change, not input: Gradio's input does not fire for a deleted or a pasted letter
        found = {side.recent, side.nothing}
        side.find.change(self.find, [side.find, parts.view], found, **quiet)
        side.rename.click(self.ask_name, parts.view, panel, **quiet)
        for event in (naming.save.click, naming.text.submit):
            event(self.save_name, [naming.text, parts.view], named, **quiet)
        naming.close.click(self.closed, None, panel, **quiet)
        chat, box = parts.talk.chat, parts.talk.box
        chat.option_select(self.choose, parts.view, parts.drawn(), **quiet)
        chat.undo(self.undo, [box, parts.view], parts.drawn(), **quiet)

    def find(self, text: str, view: View, request: gr.Request) -> Updates:
        """The conversations with this text in them."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            listed = listing(caller, view.conversation, text or "")
            return {
                self._parts.side.recent: listed,
                self._parts.side.nothing: gr.update(
                    value=caller.words("found_nothing"),
                    visible=bool((text or "").strip()) and not listed["choices"],
                ),
            }

    def ask_name(self, view: View, request: gr.Request) -> Updates:
        """The panel with the name as it is."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            known = own_conversation(caller, view.conversation)
            return self.closed() | {
                self._parts.naming.whole: gr.update(visible=True),
                self._parts.naming.text: gr.update(value=known.title),
            }

    def save_name(self, name: str, view: View, request: gr.Request) -> Updates:
        """The name as it is from now on."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            known = own_conversation(caller, view.conversation)
            try:
                rename_conversation(caller.db, known.id, name or "")
            except BadInput as error:
                said = caller.words.of(str(error))
                return {self._parts.naming.problem: problem_line(said)}
            return self._draw(caller, known.id, view.notices) | self.closed()

    def choose(self, view: View, request: gr.Request, event: gr.SelectData) -> Updates:
        """Another try at the last turn: it is shown, and the conversation goes on with it."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            chosen = own_message(caller, str(event.value))
            choose_try(caller.db, chosen.id)
            return self._draw(caller, chosen.conversation_id, view.notices)

    def undo(self, typed: str, view: View, request: gr.Request, event: gr.UndoData) -> Updates:
        """The last turn off the page, its question back into the box before what is typed there.

        Nothing is deleted: before the first question stands an empty chat, and the old one is
        in the list.
        """
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            asked = own_message(caller, message_at(view, event.index, caller.words), "user")
            if asked.parent_id:
                go_back_to(caller.db, asked.parent_id)
            going_on = asked.conversation_id if asked.parent_id else ""
            text = "\n".join(filter(None, [asked.content, (typed or "").strip()]))
            drawn = self._draw(caller, going_on, view.notices)
            return drawn | {self._parts.talk.box: gr.update(value=text)}

    def closed(self) -> Updates:
        """The panel away."""
        naming = self._parts.naming
        return {naming.whole: gr.update(visible=False), naming.problem: problem_line("")}


def listing(caller: Visit, conversation_id: str, holding: str = "") -> Any:
    """The list of the caller's conversations, the open one marked."""
    listed = list_conversations(
        caller.db, caller.workspace.id, caller.person.owner, RECENT, holding=holding
    )
    known = [item.id for item in listed]
    return gr.update(
        choices=[(item.title or caller.words("untitled"), item.id) for item in listed],
        value=conversation_id if conversation_id in known else None,
        visible=bool(listed),
    )


def choices_of_tries(caller: Visit, thread: Sequence[Message]) -> tuple[list[dict[str, str]], str]:
    """The buttons under the last reply that show other tries, and which try this one is.

    Empty where the last turn has only one.
    """
    if not thread or thread[-1].role != "assistant":
        return [], ""
    words = caller.words
    shown, here = [], 1
    replies = other_tries(caller.db, thread[-1].id)
    count = len(replies)
    for number, reply in enumerate(replies, start=1):
        if reply.id == thread[-1].id:
            here = number
        else:
            label = words("other_answer", number=number, count=count)
            shown.append({"value": reply.id, "label": label})
    for question in other_tries(caller.db, thread[-2].id) if len(thread) > 1 else []:
        if question.id != thread[-2].id:
            label = words("other_question", question=shortened(question.content))
            shown.append({"value": question.id, "label": label})
    return shown, words("this_answer", number=here, count=count) if count > 1 else ""


def shown_talk(
    caller: Visit, conversation_id: str, notices: Mapping[str, tuple[str, ...]]
) -> Shown:
    """The open branch with everything that is said of it."""
    thread = open_thread(caller.db, conversation_id)
    feedback = feedback_of(caller.db, conversation_id)
    tries, which = choices_of_tries(caller, thread)
    if which:
        notices = {**notices, thread[-1].id: (*notices.get(thread[-1].id, ()), which)}
    return show(
        thread,
        feedback,
        notices,
        words=caller.words,
        learned=learned_of(caller, feedback),
        private=made_with_files(caller.db, [item.id for item in thread]),
        options=tries,
    )
