"""What stands on the chat page and where. No behaviour."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.chat_view import MATHS, one_line
from assistant.chat_visit import View
from assistant.chat_words import ENGLISH, Words, fixed

_FORMULAS: list[dict[str, str | bool]] = [
    {"left": left, "right": right, "display": left != r"\("} for left, right in MATHS
]


@dataclass(frozen=True)
class Target:
    """The reply that an open panel is about, and the key that makes saving twice once."""

    message_id: str = ""
    key: str = ""


@dataclass(frozen=True)
class Side:
    """The bar with the conversations."""

    brand: gr.Markdown
    """Picture and name of the assistant."""
    new: gr.Button
    workspace: gr.Dropdown
    find: gr.Textbox
    recent: gr.Radio
    nothing: gr.Markdown
    """Said when the search finds no conversation."""
    mine: gr.Column
    """What can be done with the open conversation."""
    rename: gr.Button
    markdown: gr.Button
    json: gr.Button
    erase: gr.Button
    privacy: gr.Markdown
    who: gr.Markdown
    admin: gr.Button
    account: gr.Button

    def drawn(self) -> set[Any]:
        """What changes with the open conversation and with who looks at it."""
        return {
            *(self.brand, self.workspace, self.find, self.recent, self.nothing, self.mine),
            *(self.markdown, self.json, self.erase, self.privacy, self.who, self.admin),
            self.account,
        }

    def of_the_reader(self) -> set[Any]:
        """What a reply does not change."""
        kept = {self.brand, self.workspace, self.nothing, self.privacy, self.who}
        return kept | {self.admin, self.account}


@dataclass(frozen=True)
class Talk:
    """The conversation and the box to ask in."""

    address: gr.Markdown
    chat: gr.Chatbot
    told: gr.Markdown
    """What became of a wish to have a conversation deleted."""
    problem: gr.Markdown
    files: gr.Markdown
    """The conversation's own files (`chat_attachments`)."""
    attach: gr.Button
    attached: gr.Textbox
    """Where `ui/attachments.js` writes in which conversation a file has come or gone, ..."""
    look: gr.Button
    """... and what it presses then."""
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
    text: gr.Markdown
    close: gr.Button
    yes: gr.Button


@dataclass(frozen=True)
class Naming:
    """A panel over the page for the name of the open conversation."""

    whole: gr.Column
    text: gr.Textbox
    problem: gr.Markdown
    close: gr.Button
    save: gr.Button


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
    naming: Naming

    def drawn(self) -> set[Any]:
        """What every handler that shows a conversation may change."""
        talk = self.talk
        return {
            *(self.view, *self.side.drawn()),
            *(talk.address, talk.chat, talk.told, talk.problem, talk.box),
            *(talk.files, talk.attach),
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
        _naming_panel(),
    )


def _source_panel() -> None:
    """Empty and hidden; `ui/chat_sources.js` puts the source into it that somebody pressed."""
    with gr.Column(elem_id="source-panel"):
        _title("source", "source-panel")
        _close_button("close")


def _side() -> Side:
    with gr.Sidebar(width=264, elem_id="side"):
        brand = gr.Markdown("", elem_id="brand")
        new = gr.Button(fixed("new_chat"), variant="primary", size="md", elem_id="new-chat")
        workspace = gr.Dropdown([], label=fixed("workspace"), visible=False, elem_id="workspace")
        find = gr.Textbox(
            label=fixed("search"),
            placeholder=fixed("search"),
            container=False,
            max_lines=1,
            visible=False,
            elem_id="find",
        )
        recent = gr.Radio([], label=fixed("recent"), visible=False, elem_id="recent")
        nothing = gr.Markdown(visible=False, elem_id="found-nothing")
        with gr.Column(visible=False, elem_id="mine") as mine:
            gr.Markdown(fixed("this_chat"), elem_id="mine-label")
            rename = gr.Button(fixed("rename"), size="sm", elem_id="rename")
            gr.Button(fixed("copy_chat"), size="sm", elem_id="copy-chat")
            markdown = gr.Button(fixed("export_markdown"), size="sm", elem_id="save-markdown")
            json = gr.Button(fixed("export_json"), size="sm", elem_id="save-json")
            erase = gr.Button(fixed("delete"), size="sm", visible=False, elem_id="erase")
        with gr.Column(elem_id="account"):
            privacy = gr.Markdown(visible=False, elem_id="privacy")
            who = gr.Markdown(elem_id="who")
            gr.Button(fixed("dark_or_light"), size="sm", elem_id="dark-or-light")
            admin = gr.Button(fixed("admin"), link="/admin", size="sm", visible=False)
            account = gr.Button(fixed("log_in"), link="/login", size="sm")
    return Side(
        *(brand, new, workspace, find, recent, nothing, mine, rename, markdown, json, erase),
        *(privacy, who, admin, account),
    )


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
        editable="user",
        feedback_options=feedback_options(ENGLISH),
        allow_tags=False,
        latex_delimiters=_FORMULAS,
    )
    told = gr.Markdown(visible=False, elem_id="told")
    problem = gr.Markdown(visible=False, elem_id="problem")
    gr.Markdown(fixed("away"), elem_id="away")  # hidden until `ui/chat_connection.js` shows it
    gr.Markdown(fixed("before_you"), elem_id="in-line")  # the same, with a number
    files = gr.Markdown(elem_id="files")
    attached = gr.Textbox(visible="hidden", elem_id="attached")
    look = gr.Button(visible="hidden", elem_id="attached-look")
    with gr.Row(elem_id="ask"):
        attach = gr.Button(fixed("attach"), visible=False, scale=0, min_width=40, elem_id="attach")
        box = gr.Textbox(
            label=fixed("ask"),
            show_label=False,
            container=False,
            placeholder=fixed("ask"),
            lines=1,
            max_lines=8,
            autofocus=True,
            submit_btn=True,
            elem_id="question",
        )
    _source_panel()
    return Talk(address, chat, told, problem, files, attach, attached, look, box)


def feedback_options(words: Words) -> list[str]:
    """The thumbs by Gradio's own names, and what opens the editor: it sends its text back."""
    return ["Like", "Dislike", words("correct")]


def _comment_panel() -> Panel:
    with gr.Column(visible=False, elem_id="comment-panel", elem_classes="dialog") as whole:
        _title("what_was_wrong", "comment-panel")
        reasons = gr.CheckboxGroup([], show_label=False, container=False)
        text = gr.Textbox(label=fixed("anything_else"), lines=3, max_lines=8, autofocus=True)
        problem = gr.Markdown(visible=False)
        with gr.Row(elem_classes="dialog-buttons"):
            close = _close_button("close")
            other = gr.Button(fixed("correct"), size="md")
            save = gr.Button(fixed("send"), variant="primary", size="md")
    return Panel(whole, text, reasons, problem, close, save, other)


def _editor_panel() -> Panel:
    with gr.Column(visible=False, elem_id="editor-panel", elem_classes="dialog") as whole:
        _title("correct", "editor-panel")
        gr.Markdown(fixed("whole_answer"))
        text = gr.Textbox(
            label=fixed("right_answer"),
            lines=8,
            max_lines=16,
            autofocus=True,
            elem_id="correction",
        )
        why = gr.Textbox(label=fixed("why"), lines=1, max_lines=4)
        problem = gr.Markdown(visible=False)
        with gr.Row(elem_classes="dialog-buttons"):
            close = _close_button("close")
            save = gr.Button(fixed("save_correction"), variant="primary", size="md")
    return Panel(whole, text, why, problem, close, save)


def _erase_panel() -> Question:
    with gr.Column(visible=False, elem_id="erase-panel", elem_classes="dialog") as whole:
        _title("delete_title", "erase-panel")
        text = gr.Markdown()
        with gr.Row(elem_classes="dialog-buttons"):
            close = _close_button("keep_it")
            yes = gr.Button(fixed("delete_it"), variant="stop", size="md")
    return Question(whole, text, close, yes)


def _naming_panel() -> Naming:
    with gr.Column(visible=False, elem_id="naming-panel", elem_classes="dialog") as whole:
        _title("rename", "naming-panel")
        text = gr.Textbox(label=fixed("new_name"), max_lines=1, autofocus=True, elem_id="name")
        problem = gr.Markdown(visible=False)
        with gr.Row(elem_classes="dialog-buttons"):
            close = _close_button("close")
            save = gr.Button(fixed("save_name"), variant="primary", size="md")
    return Naming(whole, text, problem, close, save)


def _title(key: str, panel: str) -> None:
    """The line that names a panel, to a screen reader too (`ui/chat.js`)."""
    gr.Markdown(fixed(key), elem_id=f"{panel}-title", elem_classes="dialog-title")


def _close_button(key: str) -> gr.Button:
    """Escape presses it too (`ui/chat.js`)."""
    return gr.Button(fixed(key), size="md", elem_classes="dialog-close")


def note_line(text: str) -> Any:
    """A quiet line to the reader; hidden when there is nothing to say."""
    shown = f'<p class="note" role="status">{one_line(text)}</p>' if text else ""
    return gr.update(value=shown, visible=bool(text))


def problem_line(text: str) -> Any:
    """The line for one sentence to the reader; hidden when there is none."""
    shown = f'<p role="alert">{one_line(text)}</p>' if text else ""
    return gr.update(value=shown, visible=bool(text))


def address_line(view: View) -> str:
    """What `ui/chat.js` puts into the address bar."""
    return (
        f'<span id="open-workspace">{one_line(view.workspace)}</span>'
        f'<span id="open-conversation">{one_line(view.conversation)}</span>'
    )
