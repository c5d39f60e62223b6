"""The chat page: one Gradio page at `/`, everything it shows drawn from SQLite."""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.chat_attachments import AttachmentEvents, files_line
from assistant.chat_erasure import ErasureEvents, gone, standing
from assistant.chat_export import export_address
from assistant.chat_feedback import FeedbackEvents
from assistant.chat_greeting import brand_line, greeting_of
from assistant.chat_history import HistoryEvents, listing, shown_talk
from assistant.chat_layout import (
    Parts,
    address_line,
    feedback_options,
    lay_out,
    note_line,
    problem_line,
)
from assistant.chat_news import news
from assistant.chat_turn import Turn, begin_turn
from assistant.chat_view import Shown, entry, one_line
from assistant.chat_visit import (
    View,
    Visit,
    message_at,
    own_conversation,
    view_of,
    visit,
)
from assistant.chat_words import words_for
from assistant.gradio_door import ANSWERS
from assistant.lean_blocks import LeanBlocks
from assistant.plain_markdown import as_typed
from assistant.reply import Delta, Done, ReplyOptions, reply
from assistant.security import may_see, usable_workspace
from assistant.streams import Streams, Waits
from storage.attachments import attachments_of
from storage.conversations import (
    delete_conversation,
    open_thread,
)
from storage.errors import ApprenticeError, NotFound
from storage.records import Message
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

ANSWERS_AT_ONCE = 64
"""Questions that are begun, each on a thread that mostly sleeps: twice what the engine is asked for
at once. `GradioDoor` tells the others how many are before them."""
WAITING = 512
"""Events that may be at work or wait in Gradio's queue."""
NEWS_S = 60
"""Gradio tells everybody in its queue their rank whenever one begins, if it is not told when to."""
OTHERS_AT_ONCE = 64
"""Threads for what else is pressed."""

DRAWN_A_SECOND = 100
"""Times a second that all replies together are drawn: each costs the loop milliseconds."""

PLACE_S = 1.0
"""When one who waits is first told the place; most replies have begun by then."""

_PLAIN = ReplyOptions()

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For every event: no name in a public API, no veil over the page."""

Updates = dict[Any, Any]


def build_chat_page(app: "App") -> gr.Blocks:
    """The page, to be mounted."""
    # it would sum up the last 10,000 events after each one, for a page that nobody has
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    with LeanBlocks(title="Apprentice", analytics_enabled=False, fill_height=True) as page:
        parts = lay_out()
        talk = ChatEvents(app, parts)
        _wire(page, parts, talk, FeedbackEvents(app, parts, talk.draw))
        ErasureEvents(app, parts, talk.draw).wire(QUIET)
        HistoryEvents(app, parts, talk.draw).wire(QUIET)
        AttachmentEvents(app, parts, talk.opened).wire(QUIET)
    page.max_threads = ANSWERS_AT_ONCE + OTHERS_AT_ONCE
    page.queue(default_concurrency_limit=16, max_size=WAITING, status_update_rate=NEWS_S)
    return page


def _wire(page: gr.Blocks, parts: Parts, talk: "ChatEvents", judging: FeedbackEvents) -> None:
    view, side, box, chat = parts.view, parts.side, parts.talk.box, parts.talk.chat
    answers = {
        **QUIET,
        "concurrency_id": ANSWERS,
        "concurrency_limit": ANSWERS_AT_ONCE,
        "show_progress": "minimal",  # the waiting dots, until the first piece
        "show_progress_on": chat,
    }
    drawn = parts.drawn()
    page.load(talk.load, None, drawn, **QUIET)
    side.new.click(talk.new_chat, view, drawn, **QUIET)
    side.workspace.input(talk.change_workspace, side.workspace, drawn, **QUIET)
    side.recent.input(talk.open, [side.recent, view], drawn, **QUIET)
    box.submit(talk.send, [box, view], drawn, **answers)
    chat.example_select(talk.send_starter, view, drawn, **answers)
    chat.edit(talk.edit, view, drawn, **answers)
    chat.retry(talk.retry, view, drawn, **answers)
    box.stop(talk.stop, view, None, **QUIET)
    judging.wire(drawn | parts.panels(), QUIET)


class ChatEvents:
    """What happens to the conversation; feedback on it is `FeedbackEvents`."""

    def __init__(self, app: "App", parts: Parts) -> None:
        self._app = app
        self._parts = parts
        self._streams = Streams()

    # ---- which conversation

    def load(self, request: gr.Request) -> Updates:
        """The page as its address names it."""
        asked = view_of(View(), request)
        with visit(self._app, request, asked.workspace) as caller:
            try:
                known = asked.conversation and own_conversation(caller, asked.conversation).id
                return self.draw(caller, known)
            except NotFound as error:
                said = gone(self._app, caller, asked.conversation)
                drawn = self.draw(caller, "", problem="" if said else str(error))
                return {**drawn, self._parts.talk.told: note_line(said)} if said else drawn

    def new_chat(self, view: View, request: gr.Request) -> Updates:
        """An empty conversation; its row is made with the first question."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            return self.draw(caller, "")

    def change_workspace(self, name: str, request: gr.Request) -> Updates:
        """Another workspace, with an empty conversation."""
        with visit(self._app, request, name) as caller:
            return self.draw(caller, "")

    def open(self, conversation_id: str, view: View, request: gr.Request) -> Updates:
        """A conversation from the list."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            return self.draw(caller, own_conversation(caller, conversation_id).id)

    # ---- answers

    def send(self, question: str, view: View, request: gr.Request) -> Iterator[Updates]:
        """The question in the box."""
        if not (question or "").strip():
            yield {self._parts.talk.problem: problem_line(words_for(request)("question_first"))}
            return
        yield from self._answer(request, view, question, emptied={"value": ""})

    def send_starter(
        self, view: View, request: gr.Request, event: gr.SelectData
    ) -> Iterator[Updates]:
        """A starter that was clicked."""
        yield from self._answer(request, view, str(event.value["text"]))

    def retry(self, view: View, request: gr.Request, event: gr.RetryData) -> Iterator[Updates]:
        """Another try at the last reply."""
        # Gradio names the question's position; the reply is the entry after it
        position = event.index if isinstance(event.index, int) else event.index[0]
        again = ReplyOptions(variant_of=message_at(view, position + 1, words_for(request)))
        yield from self._answer(request, view, "", again)

    def edit(self, view: View, request: gr.Request, event: gr.EditData) -> Iterator[Updates]:
        """A question that was changed where it stands: asked in place of the old one."""
        position = event.index if isinstance(event.index, int) else event.index[0]
        instead = ReplyOptions(edit_of=message_at(view, position, words_for(request)))
        yield from self._answer(request, view, as_typed(str(event.value)), instead)

    def stop(self, view: View, request: gr.Request) -> None:
        """End the reply that is being made in this conversation."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            self._streams.stop(own_conversation(caller, view.conversation).id)

    def _answer(
        self,
        request: gr.Request,
        view: View,
        question: str,
        options: ReplyOptions = _PLAIN,
        emptied: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Updates]:
        cancel = threading.Event()
        with self._app.under_way.asked(cancel):
            view = view_of(view, request)
            with self._app.under_way.preparing:
                turn = begin_turn(self._app, self._streams, request, view, question, options)
            yield from self._answered(request, turn, cancel, emptied)

    def _answered(
        self,
        request: gr.Request,
        turn: Turn,
        cancel: threading.Event,
        emptied: Mapping[str, str],
    ) -> Iterator[Updates]:
        view, said, problem = turn.view, "", ""
        self._streams.announce(view.conversation, cancel)  # before the page has a stop button
        try:
            yield self._busy(turn, self._place(request, cancel), emptied)
            for event in self._events(turn, cancel):
                if isinstance(event, Waits):
                    yield {self._parts.talk.problem: self._place(request, cancel)}
                elif isinstance(event, Done):
                    notices = {**view.notices, event.message.id: event.notices}
                    view = replace(view, notices=notices)
                else:
                    waited = {} if said else {self._parts.talk.problem: note_line("")}
                    said += event.text
                    chat = [*turn.above, entry("assistant", said)]
                    yield {self._parts.talk.chat: chat, **waited}
        except ApprenticeError as error:
            problem = words_for(request).of(str(error))
        except Exception:
            log.exception("the reply failed")
            problem = words_for(request)("server_error")
        finally:
            self._streams.forget(view.conversation, cancel)
        yield self._end(request, replace(turn, view=view), problem)

    def _events(self, turn: Turn, cancel: threading.Event) -> Iterator[Delta | Done | Waits]:
        return self._streams.run_and_wait(
            lambda cancel: reply(
                self._app,
                turn.workspace,
                turn.view.conversation,
                turn.owner,
                turn.question,
                options=turn.options,
                cancel=cancel,
            ),
            cancel,
            PLACE_S,
            self._pause,
        )

    def _place(self, request: gr.Request, cancel: threading.Event) -> Any:
        """How many questions are before this one, while it waits for its first word."""
        before = self._app.under_way.before(cancel)
        return note_line(f"{words_for(request)('before_you')} {before}" if before else "")

    def _pause(self) -> float:
        """Seconds between two drawings of a reply."""
        return self._app.under_way.count(speaking=True) / DRAWN_A_SECOND

    def _busy(self, turn: Turn, place: Any, emptied: Mapping[str, str]) -> Updates:
        talk = self._parts.talk
        return {
            self._parts.view: turn.view,
            talk.address: address_line(
                turn.view
            ),  # a lost connection must not lose the conversation
            talk.chat: turn.above,
            talk.problem: place,
            talk.box: gr.update(submit_btn=False, stop_btn=True, **emptied),
        }

    def _end(self, request: gr.Request, turn: Turn, problem: str) -> Updates:
        """The page after a reply. A question that was refused goes back into the box."""
        with visit(self._app, request, turn.view.workspace) as caller:
            conversation_id = turn.view.conversation
            thread: list[Message] = []
            try:
                thread = open_thread(caller.db, conversation_id)
                if not (thread or attachments_of(caller.db, conversation_id)):
                    delete_conversation(caller.db, conversation_id)
                    conversation_id = ""
            except NotFound:  # deleted while it was answered
                conversation_id = ""
            drawn = self.draw(caller, conversation_id, turn.view.notices, problem)
            if conversation_id == turn.view.conversation:
                for part in self._parts.side.of_the_reader():
                    del drawn[part]
            asked = [item.content for item in thread if item.role == "user"][-1:]
            refused = problem and not turn.options.variant_of and asked != [turn.question.strip()]
            back = {"value": turn.question} if refused else {}
            return {**drawn, self._parts.talk.box: _ready(**back)}

    # ---- what is shown

    def draw(
        self,
        caller: Visit,
        conversation_id: str,
        notices: Mapping[str, tuple[str, ...]] | None = None,
        problem: str = "",
    ) -> Updates:
        """The whole page from storage; the caller's right to the conversation is checked."""
        shown = Shown([], (), [])
        if conversation_id:
            shown = shown_talk(caller, conversation_id, notices or {})
        view = View(caller.workspace.name, conversation_id, shown.ids, dict(notices or {}))
        wish = standing(self._app, caller, conversation_id)
        starters = [{"text": text} for text in caller.workspace.settings.starters]
        talk = self._parts.talk
        return {
            **self.opened(caller, view),
            **files_line(self._parts, caller, conversation_id),
            talk.told: note_line(wish.said or ("" if conversation_id else news(caller))),
            talk.problem: problem_line(problem),
            talk.chat: gr.update(
                value=shown.messages,
                feedback_options=feedback_options(caller.words),
                feedback_value=shown.thumbs,
                examples=starters or None,
                placeholder=greeting_of(caller.workspace, caller.words),
            ),
            self._parts.side.erase: gr.update(visible=wish.may_ask),
        }

    def opened(self, caller: Visit, view: View) -> Updates:
        """What names the open conversation, on the page and beside it."""
        return {
            self._parts.view: view,
            self._parts.talk.address: address_line(view),
            **self._side(caller, view.conversation),
        }

    def _side(self, caller: Visit, conversation_id: str) -> Updates:
        side, person = self._parts.side, caller.person
        listed = listing(caller, conversation_id)
        names = [item.name for item in list_workspaces(caller.db)]
        usable = [name for name in names if usable_workspace(caller.db, name, person)]
        known = person.kind == "user"
        return {
            side.brand: brand_line(caller.workspace),
            side.workspace: gr.update(
                choices=usable, value=caller.workspace.name, visible=len(usable) > 1
            ),
            side.find: gr.update(value="", visible=bool(listed["choices"])),
            side.recent: listed,
            side.nothing: gr.update(visible=False),
            side.mine: gr.update(visible=bool(conversation_id)),
            side.markdown: gr.update(link=export_address(conversation_id, "md")),
            side.json: gr.update(link=export_address(conversation_id, "json")),
            side.privacy: gr.update(value=caller.words("privacy"), visible=not known),
            side.who: gr.update(value=one_line(person.name), visible=known),
            side.admin: gr.update(visible=may_see(person)),
            side.account: gr.update(
                value=caller.words("log_out" if known else "log_in"),
                link="/logout" if known else "/login",
            ),
        }


def _ready(**values: Any) -> Any:
    return gr.update(submit_btn=True, stop_btn=False, **values)
