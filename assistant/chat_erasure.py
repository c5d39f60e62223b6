"""The wish to have one's conversation deleted, with what was learned from it.

A conversation of which nothing was said goes at once. Else it is asked for on the chat page,
waits for an admin's yes, and the page says what became of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.certificate import still_held
from assistant.chat_layout import Parts, note_line
from assistant.chat_visit import View, Visit, own_conversation, view_of, visit
from assistant.chat_words import Words
from storage.conversations import delete_conversation, feedback_of
from storage.erasure import Erasure, erasure
from storage.erasure_requests import ErasureRequest, file_request, requests_of

if TYPE_CHECKING:
    from assistant.app import App

Updates = dict[Any, Any]
Draw = Callable[..., Updates]

TOLD = timedelta(days=7)
"""How long the empty page says that a conversation was deleted; its own address always does."""


@dataclass(frozen=True)
class Standing:
    """What is said of a wish, and whether the open conversation can be asked for now."""

    said: str
    may_ask: bool


class ErasureEvents:
    """The button, the question whether it is meant, and the deletion or the request for it."""

    def __init__(self, app: "App", parts: Parts, draw: Draw) -> None:
        self._app = app
        self._parts = parts
        self._draw = draw

    def wire(self, quiet: dict[str, Any]) -> None:
        """Bind the handlers."""
        parts, panel = self._parts, self._parts.erase
        outputs = {*parts.drawn(), panel.whole, panel.text, panel.yes}
        parts.side.erase.click(self.ask, parts.view, outputs, **quiet)
        panel.yes.click(self.file, parts.view, outputs, **quiet)
        panel.close.click(self.closed, None, outputs, **quiet)

    def ask(self, view: View, request: gr.Request) -> Updates:
        """Is it meant?"""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            mine = own_conversation(caller, view.conversation)
            judged = bool(feedback_of(caller.db, mine.id))
            panel, words = self._parts.erase, caller.words
            return {
                panel.whole: gr.update(visible=True),
                panel.text: gr.update(value=words("delete_asks" if judged else "delete_now")),
                panel.yes: gr.update(value=words("ask_to_delete" if judged else "delete_it")),
            }

    def file(self, view: View, request: gr.Request) -> Updates:
        """Deleted at once if nothing was said of it, so that nothing can have learned from it.

        Else the wish goes to the admin; asking twice is asking once.
        """
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            mine = own_conversation(caller, view.conversation)
            if not feedback_of(caller.db, mine.id):
                delete_conversation(caller.db, mine.id)
                said = note_line(caller.words("deleted"))
                return self._draw(caller, "") | self.closed() | {self._parts.talk.told: said}
            file_request(
                caller.db,
                caller.workspace.id,
                "conversation",
                mine.id,
                requester=caller.person.owner,
            )
            return self._draw(caller, mine.id, view.notices) | self.closed()

    def closed(self) -> Updates:
        """The question away."""
        return {self._parts.erase.whole: gr.update(visible=False)}


def standing(app: "App", caller: Visit, conversation_id: str) -> Standing:
    """How it stands with the open conversation; on an empty page, what was deleted lately."""
    asked = _asked(caller)
    if not conversation_id:
        lately = [one for one in asked if one.state == "approved" and _lately(one)]
        return Standing(_done(app, caller, lately[0]) if lately else "", may_ask=False)
    newest = next((one for one in asked if one.subject == conversation_id), None)
    if newest is None:
        return Standing("", may_ask=True)
    if newest.state == "pending":
        return Standing(caller.words("delete_waits"), may_ask=False)
    return Standing(caller.words("delete_refused", day=_day(newest)), may_ask=True)


def gone(app: "App", caller: Visit, conversation_id: str) -> str:
    """What was done for the caller's conversation that is not there any more; '' if nothing was."""
    asked = [one for one in _asked(caller) if one.subject == conversation_id]
    return _done(app, caller, asked[0]) if asked and asked[0].state == "approved" else ""


def _asked(caller: Visit) -> list[ErasureRequest]:
    asked = requests_of(caller.db, caller.workspace.id, caller.person.owner)
    return [one for one in asked if one.kind == "conversation"]


def _done(app: "App", caller: Visit, request: ErasureRequest) -> str:
    """What was deleted, what had learned from it, and what is out of reach."""
    said = caller.words("delete_done", day=_day(request))
    if request.erasure_id is None:
        return said
    known = erasure(caller.db, request.erasure_id)
    return f"{said} {_learned(known, caller.words)} {_copies(app, caller, known)}".strip()


def _learned(known: Erasure, words: Words) -> str:
    count = len(known.detail["adapters"])
    key = {0: "delete_no_model", 1: "delete_one_model"}.get(count, "delete_models")
    return words(key, count=count)


def _copies(app: "App", caller: Visit, known: Erasure) -> str:
    if not still_held(caller.db, app.datadir, known):
        return ""
    return caller.words("delete_copies")


def _lately(request: ErasureRequest) -> bool:
    return datetime.now(UTC) - _time(request) < TOLD


def _time(request: ErasureRequest) -> datetime:
    return datetime.fromisoformat((request.decided_at or "").replace("Z", "+00:00"))


def _day(request: ErasureRequest) -> str:
    return f"{_time(request):%Y-%m-%d}"
