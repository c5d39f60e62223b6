"""Two adapters side by side: on a question of one's own, and on those that judged both."""

from typing import TYPE_CHECKING, Literal

import gradio as gr

from assistant.admin.adapters_view import adapter_label
from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.tables import table
from assistant.chat_view import one_line
from assistant.reply import Done, ReplyOptions, reply
from assistant.security import may_administer
from storage.adapters import adapter, list_adapters, serving_adapter
from storage.conversations import delete_conversation, start_conversation
from storage.errors import BadInput, NotFound
from storage.side_by_side import Beside, side_by_side

if TYPE_CHECKING:
    from assistant.app import App

BASE = "base"
SIGNS = {True: "✓", False: "✗"}
OWNER = "cli"
"""As a question of the command line; what is asked here is deleted once it is answered."""


class CompareForm:
    """Without overrides: what the models themselves say."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Compare two", open=False, elem_id="compare"):
            with gr.Row():
                self.left = gr.Dropdown([], label="One", min_width=220)
                self.right = gr.Dropdown([], label="The other", min_width=220)
            with gr.Row(elem_id="compare-row"):
                self.question = gr.Textbox(label="Question", lines=1, min_width=240)
                self.ask = gr.Button("Ask both", size="md", scale=0, min_width=120)
            self.fault = fault_place()
            self.answers = gr.Markdown(elem_id="compare-answers")
            self.known = gr.Button("On the questions kept out", size="sm", scale=0, min_width=220)
            self.table = gr.Markdown(elem_id="compare-table")
        self.outputs = {self.left, self.right, self.answers, self.table}
        bind = binder(app, may_administer, workspace, {self.answers, self.table})
        both, fault = (self.left, self.right), self.fault
        bind(self.known.click, self.on_kept_out, *both, fault=fault)
        for event in (self.ask.click, self.question.submit):
            bind(event, self.ask_both, *both, self.question, fault=fault, show_progress="full")

    def show(self, desk: Desk) -> Updates:
        """What there is to choose from: at first the base, and what serves."""
        found = [
            (adapter_label(item), item.id) for item in list_adapters(desk.db, desk.workspace.id)
        ]
        choices = [("the base model", BASE), *found]
        serving = serving_adapter(desk.db, desk.workspace.id)
        return {
            self.left: gr.update(choices=choices, value=BASE),
            self.right: gr.update(choices=choices, value=serving.id if serving else BASE),
            self.answers: "",
            self.table: "",
        }

    def ask_both(
        self, desk: Desk, left: str | int | None, right: str | int | None, question: str | None
    ) -> Updates:
        """Their answers beside each other; neither stays in any conversation."""
        asked = (question or "").strip()
        if not asked:
            raise BadInput("Type a question first.")
        both = "".join(self._answer(desk, one, asked) for one in (left, right))
        return {self.answers: f'<div class="both">{both}</div>'}

    def on_kept_out(self, desk: Desk, left: str | int | None, right: str | int | None) -> Updates:
        """What both said when they were judged, on the questions that neither was taught."""
        both = [_of_workspace(desk, _chosen(one)) for one in (left, right)]
        rows = [
            (row.question, *(f"{SIGNS[right]} {text}" for text, right in _both(row)))
            for row in side_by_side(desk.db, *both)
        ]
        head = ("Question", *map(_name, both))
        return {self.table: table(head, rows, empty="No question judged them both.")}

    def _answer(self, desk: Desk, one: str | int | None, question: str) -> str:
        options = ReplyOptions(use_overrides=False, adapter=_chosen(one))
        talk = start_conversation(desk.db, desk.workspace.id, OWNER)
        try:
            *_, done = reply(self._app, desk.workspace, talk.id, OWNER, question, options=options)
        finally:
            delete_conversation(desk.db, talk.id)
        assert isinstance(done, Done)
        name = _name(one if isinstance(one, int) else None)
        notes = "".join(f'<p class="note">{one_line(text)}</p>' for text in done.notices)
        said = one_line(done.message.content)
        return f'<div><h2>{name}</h2><div class="passage">{said}</div>{notes}</div>'


def _of_workspace(desk: Desk, one: Literal["base"] | int) -> int | None:
    """The adapter's id, if it is of the workspace that is shown; None is the base model."""
    if one == "base":
        return None
    if adapter(desk.db, one).workspace_id != desk.workspace.id:
        raise NotFound("There is no such adapter in this workspace.")
    return one


def _both(row: Beside) -> tuple[tuple[str, bool], ...]:
    return (row.left, row.left_right), (row.right, row.right_right)


def _name(adapter_id: int | None) -> str:
    return f"Adapter {adapter_id}" if adapter_id else "The base model"


def _chosen(one: str | int | None) -> Literal["base"] | int:
    if isinstance(one, int):
        return one
    if one == BASE:
        return "base"
    raise BadInput("Choose two of the lists first.")
