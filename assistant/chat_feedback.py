"""Feedback on a reply of the chat page: thumbs, reasons, and corrections to learn from."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.chat_layout import Parts, Target, problem_line
from assistant.chat_visit import (
    View,
    Visit,
    message_at,
    own_conversation,
    own_reply,
    view_of,
    visit,
)
from assistant.chat_words import ENGLISH, Words, in_any, words_for
from assistant.feedback_reasons import REASONS, known_reasons
from storage.feedback import add_feedback
from storage.ratings import take_back
from storage.records import Message

if TYPE_CHECKING:
    from assistant.app import App

Updates = dict[Any, Any]
Draw = Callable[..., Updates]


class FeedbackEvents:
    """What happens to the thumbs and the two panels; `draw` shows the conversation again."""

    def __init__(self, app: "App", parts: Parts, draw: Draw) -> None:
        self._app = app
        self._parts = parts
        self._draw = draw

    def wire(self, outputs: set[Any], quiet: dict[str, Any]) -> None:
        """Bind the handlers."""
        parts, comment, editor = self._parts, self._parts.comment, self._parts.editor
        state = [parts.view, parts.target]
        assert comment.other is not None
        # "multiple", for else a press that follows another at once is dropped
        every = {**quiet, "trigger_mode": "multiple"}
        parts.talk.chat.like(self.judge, parts.view, outputs, **every)
        comment.other.click(self.edit, state, outputs, **quiet)
        comment.save.click(
            self.save_comment, [*state, comment.extra, comment.text], outputs, **quiet
        )
        editor.save.click(
            self.save_correction, [*state, editor.text, editor.extra], outputs, **quiet
        )
        for panel in (comment, editor):
            panel.close.click(self.closed, None, parts.panels(), **quiet)
            panel.close.click(self.unmark, parts.view, parts.talk.chat, **quiet)

    def judge(self, view: View, request: gr.Request, event: gr.LikeData) -> Updates:
        """A thumb, the same thumb once more to take it back, or the wish to correct."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, message_at(view, event.index, caller.words))
            if event.liked in in_any("correct"):
                return self._editing(judged) | self._marked(caller, view, judged)
            take_back(caller.db, judged.id, caller.person.owner)
            if isinstance(event.liked, bool):
                self._save(caller, judged, rating=1 if event.liked else -1)
            drawn = self._draw(caller, judged.conversation_id, view.notices)
            return drawn | self._commenting(judged, caller.words) if event.liked is False else drawn

    def edit(self, view: View, target: Target, request: gr.Request) -> Updates:
        """From the comment panel to the editor."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            return self._editing(own_reply(caller, target.message_id))

    def save_comment(
        self, view: View, target: Target, reasons: list[str], remark: str, request: gr.Request
    ) -> Updates:
        """Reasons and remark; the thumb itself was saved when it was pressed."""
        known = known_reasons(reasons or ())
        if not known and not (remark or "").strip():
            said = words_for(request)("tick_a_reason")
            return {self._parts.comment.problem: problem_line(said)}
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, target.message_id)
            self._save(caller, judged, key=target.key, reasons=known, comment=remark or "")
            gr.Info(caller.words("thank_you"), duration=5)
            return self._draw(caller, judged.conversation_id, view.notices) | self.closed()

    def save_correction(
        self, view: View, target: Target, text: str, why: str, request: gr.Request
    ) -> Updates:
        """The edited answer, as feedback for a reviewer."""
        text = (text or "").strip()
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, target.message_id)
            if not text or text == judged.content.strip():
                said = caller.words("change_it" if text else "write_it")
                return {self._parts.editor.problem: problem_line(said)}
            self._save(caller, judged, key=target.key, correction=text, comment=why or "")
            return self._draw(caller, judged.conversation_id, view.notices) | self.closed()

    def unmark(self, view: View, request: gr.Request) -> Any:
        """The buttons as storage has them."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            known = own_conversation(caller, view.conversation)
            shown = self._draw(caller, known.id, view.notices)[self._parts.talk.chat]
            return gr.update(feedback_value=shown["feedback_value"])

    def _marked(self, caller: Visit, view: View, judged: Message) -> Updates:
        """The wish to correct as a pressed button, as the browser has it.

        Else the browser would not learn that storage says otherwise, and would take the next press
        for a second one, which takes back.
        """
        chat, pressed = self._parts.talk.chat, caller.words("correct")
        drawn = self._draw(caller, judged.conversation_id, view.notices)
        shown, ids = drawn[chat], drawn[self._parts.view].ids
        replies = [
            id for id, one in zip(ids, shown["value"], strict=True) if one["role"] == "assistant"
        ]
        marks = [
            pressed if id == judged.id else mark
            for id, mark in zip(replies, shown["feedback_value"], strict=True)
        ]
        return {chat: gr.update(feedback_value=marks)}

    def closed(self) -> Updates:
        """Both panels away, and empty for the next time."""
        comment, editor = self._parts.comment, self._parts.editor
        return {
            self._parts.target: Target(),
            comment.whole: gr.update(visible=False),
            comment.extra: gr.update(value=[]),
            comment.text: gr.update(value=""),
            comment.problem: problem_line(""),
            editor.whole: gr.update(visible=False),
            editor.text: gr.update(value=""),
            editor.extra: gr.update(value=""),
            editor.problem: problem_line(""),
        }

    def _commenting(self, judged: Message, words: Words) -> Updates:
        reasons = [(words(reason), ENGLISH(reason)) for reason in REASONS]
        return self.closed() | {
            self._parts.target: Target(judged.id, secrets.token_hex(16)),
            self._parts.comment.whole: gr.update(visible=True),
            self._parts.comment.extra: gr.update(choices=reasons, value=[]),
        }

    def _editing(self, judged: Message) -> Updates:
        return self.closed() | {
            self._parts.target: Target(judged.id, secrets.token_hex(16)),
            self._parts.editor.whole: gr.update(visible=True),
            self._parts.editor.text: gr.update(value=judged.content),
        }

    def _save(self, caller: Visit, judged: Message, key: str | None = None, **said: Any) -> None:
        """A member's feedback goes to review as it is; a public visitor's is quarantined first."""
        visitor = caller.person.kind == "visitor"
        add_feedback(
            caller.db,
            message_id=judged.id,
            origin="widget" if visitor else "staff",
            contributor=caller.person.owner,
            quarantine=visitor,
            idempotency_key=key or None,
            **said,
        )
