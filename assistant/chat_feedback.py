"""Feedback on a reply of the chat page: thumbs, reasons, and corrections to learn from."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.chat_layout import REASONS, Parts, Target, problem_line
from assistant.chat_view import CORRECT
from assistant.chat_visit import View, Visit, message_at, own_reply, view_of, visit
from storage.feedback import add_feedback
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
        parts.talk.chat.like(self.judge, parts.view, outputs, **quiet)
        comment.other.click(self.edit, state, outputs, **quiet)
        comment.save.click(
            self.save_comment, [*state, comment.extra, comment.text], outputs, **quiet
        )
        editor.save.click(
            self.save_correction, [*state, editor.text, editor.extra], outputs, **quiet
        )
        for panel in (comment, editor):
            panel.close.click(self.closed, None, parts.panels(), **quiet)

    def judge(self, view: View, request: gr.Request, event: gr.LikeData) -> Updates:
        """A thumb, or the wish to correct."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, message_at(view, event.index))
            if event.liked == CORRECT:
                return self._editing(judged)
            if isinstance(event.liked, bool):
                self._save(caller, judged, rating=1 if event.liked else -1)
            drawn = self._draw(caller, judged.conversation_id, view.notices)
            return drawn | self._commenting(judged) if event.liked is False else drawn

    def edit(self, view: View, target: Target, request: gr.Request) -> Updates:
        """From the comment panel to the editor."""
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            return self._editing(own_reply(caller, target.message_id))

    def save_comment(
        self, view: View, target: Target, reasons: list[str], remark: str, request: gr.Request
    ) -> Updates:
        """Reasons and remark; the thumb itself was saved when it was pressed."""
        known = [reason for reason in reasons or () if reason in REASONS]
        if not known and not (remark or "").strip():
            return {self._parts.comment.problem: problem_line("Tick a reason or write something.")}
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, target.message_id)
            self._save(caller, judged, key=target.key, reasons=known, comment=remark or "")
            gr.Info("Thank you. A reviewer will read it.", duration=5)
            return self._draw(caller, judged.conversation_id, view.notices) | self.closed()

    def save_correction(
        self, view: View, target: Target, text: str, why: str, request: gr.Request
    ) -> Updates:
        """The edited answer, as feedback for a reviewer."""
        text = (text or "").strip()
        with visit(self._app, request, view_of(view, request).workspace) as caller:
            judged = own_reply(caller, target.message_id)
            if not text or text == judged.content.strip():
                said = "This is the answer as it was: change it." if text else "Write the answer."
                return {self._parts.editor.problem: problem_line(said)}
            self._save(caller, judged, key=target.key, correction=text, comment=why or "")
            return self._draw(caller, judged.conversation_id, view.notices) | self.closed()

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

    def _commenting(self, judged: Message) -> Updates:
        return self.closed() | {
            self._parts.target: Target(judged.id, secrets.token_hex(16)),
            self._parts.comment.whole: gr.update(visible=True),
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
