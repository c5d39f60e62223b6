"""What stands on the chat page and where. No behaviour."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.chat_view import CORRECT, one_line
from assistant.chat_visit import View

REASONS = ("Wrong", "Incomplete", "Not what the documents say", "Wrong format", "Wrong tone")


@dataclass(frozen=True)
class Target:
    """The reply that an open panel is about, and the key that makes saving twice once."""

    message_id: str = ""
    key: str = ""


@dataclass(frozen=True)
class Side:
    """The bar with the conversations."""

    new: gr.Button
    workspace: gr.Dropdown
    recent: gr.Radio
    erase: gr.Button
    who: gr.Markdown
    admin: gr.Button
    account: gr.Button


@dataclass(frozen=True)
class Talk:
    """The conversation and the box to ask in."""

    address: gr.Markdown
    chat: gr.Chatbot
    told: gr.Markdown
    """What became of a wish to have a conversation deleted."""
    problem: gr.Markdown
    box: gr.Textbox


@dataclass(frozen=True)
class Panel:
    """A panel over the page for feedback on one reply."""

    whole: gr.Column
    text: gr.Textbox
    extra: Any
    """Reasons to tick in the comment panel, the reason why in the editor."""
    problem: gr.Markdown
    close: gr.Button
    save: gr.Button
    other: gr.Button | None = None


@dataclass(frozen=True)
class Question:
    """A panel over the page that asks whether it is meant."""

    whole: gr.Column
    close: gr.Button
    yes: gr.Button


@dataclass(frozen=True)
class Parts:
    """Everything on the page."""

    view: gr.State
    target: gr.State
    side: Side
    talk: Talk
    comment: Panel
    editor: Panel
    erase: Question

    def drawn(self) -> set[Any]:
        """What every handler that shows a conversation may change."""
        side, talk = self.side, self.talk
        return {
            *(self.view, side.workspace, side.recent, side.erase),
            *(side.who, side.admin, side.account),
            *(talk.address, talk.chat, talk.told, talk.problem, talk.box),
        }

    def panels(self) -> set[Any]:
        """What opening and closing a panel changes."""
        parts = {self.target}
        for panel in (self.comment, self.editor):
            parts |= {panel.whole, panel.text, panel.extra, panel.problem}
        return parts


def lay_out() -> Parts:
    """The components, made inside the current `gr.Blocks`."""
    return Parts(
        gr.State(View()),
        gr.State(Target()),
        _side(),
        _talk(),
        _comment_panel(),
        _editor_panel(),
        _erase_panel(),
    )


def _side() -> Side:
    with gr.Sidebar(width=264, elem_id="side"):
        gr.Markdown("Apprentice", elem_id="brand")
        new = gr.Button("New chat", variant="primary", size="md", elem_id="new-chat")
        workspace = gr.Dropdown([], label="Workspace", visible=False, elem_id="workspace")
        recent = gr.Radio([], label="Recent", visible=False, elem_id="recent")
        erase = gr.Button("Delete this conversation…", size="sm", visible=False, elem_id="erase")
        with gr.Column(elem_id="account"):
            who = gr.Markdown(elem_id="who")
            admin = gr.Button("Admin", link="/admin", size="sm", visible=False)
            account = gr.Button("Log in", link="/login", size="sm")
    return Side(new, workspace, recent, erase, who, admin, account)


def _talk() -> Talk:
    address = gr.Markdown(visible="hidden")
    chat = gr.Chatbot(
        show_label=False,
        container=False,
        elem_id="chat",
        height="100%",
        scale=1,
        layout="bubble",
        buttons=["copy"],
        feedback_options=["Like", "Dislike", CORRECT],
        allow_tags=False,
        latex_delimiters=[],
        placeholder="Ask a question. Correct an answer that is wrong: Apprentice learns from it.",
    )
    told = gr.Markdown(visible=False, elem_id="told")
    problem = gr.Markdown(visible=False, elem_id="problem")
    box = gr.Textbox(
        show_label=False,
        container=False,
        placeholder="Ask a question",
        lines=1,
        max_lines=8,
        autofocus=True,
        submit_btn=True,
        elem_id="question",
    )
    return Talk(address, chat, told, problem, box)


def _comment_panel() -> Panel:
    with gr.Column(visible=False, elem_id="comment-panel") as whole:
        gr.Markdown("### What was wrong?")
        reasons = gr.CheckboxGroup(list(REASONS), show_label=False, container=False)
        text = gr.Textbox(label="Anything else?", lines=3, max_lines=8, autofocus=True)
        problem = gr.Markdown(visible=False)
        with gr.Row(elem_id="comment-buttons"):
            close = gr.Button("Close", elem_id="comment-close", size="md")
            other = gr.Button(CORRECT, size="md")
            save = gr.Button("Send", variant="primary", size="md")
    return Panel(whole, text, reasons, problem, close, save, other)


def _editor_panel() -> Panel:
    with gr.Column(visible=False, elem_id="editor-panel") as whole:
        gr.Markdown("### Correct this answer\nWrite the whole answer as it should have been.")
        text = gr.Textbox(
            label="The right answer", lines=8, max_lines=16, autofocus=True, elem_id="correction"
        )
        why = gr.Textbox(label="Why? (may stay empty)", lines=1, max_lines=4)
        problem = gr.Markdown(visible=False)
        with gr.Row(elem_id="editor-buttons"):
            close = gr.Button("Close", elem_id="editor-close", size="md")
            save = gr.Button("Save correction", variant="primary", size="md")
    return Panel(whole, text, why, problem, close, save)


def _erase_panel() -> Question:
    with gr.Column(visible=False, elem_id="erase-panel") as whole:
        gr.Markdown(
            "### Delete this conversation?\nIts questions and answers go, your corrections in it, "
            "and whatever has learned from those. An admin has to agree first."
        )
        with gr.Row(elem_id="erase-buttons"):
            close = gr.Button("Keep it", elem_id="erase-close", size="md")
            yes = gr.Button("Ask to delete it", variant="stop", size="md")
    return Question(whole, close, yes)


def note_line(text: str) -> Any:
    """A quiet line to the reader; hidden when there is nothing to say."""
    shown = f'<p class="note" role="status">{one_line(text)}</p>' if text else ""
    return gr.update(value=shown, visible=bool(text))


def problem_line(text: str) -> Any:
    """The line for one sentence to the reader; hidden when there is none."""
    shown = f'<p role="alert">{one_line(text)}</p>' if text else ""
    return gr.update(value=shown, visible=bool(text))
