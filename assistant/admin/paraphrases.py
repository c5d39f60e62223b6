"""Paraphrases of an approved correction: other wordings that judge a round and never train."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, chosen_feedback, fault_place
from assistant.admin.tables import table
from assistant.security import may_review
from storage.errors import NotFound
from storage.paraphrases import (
    add_paraphrase,
    list_paraphrases,
    paraphrase,
    remove_paraphrase,
)
from storage.records import Feedback

if TYPE_CHECKING:
    from assistant.app import App


class ParaphraseForm:
    """Those of the row that is chosen in `rows`: list, add, remove."""

    def __init__(self, app: "App", workspace: gr.Dropdown, rows: gr.Radio) -> None:
        with gr.Column(visible=False, elem_id="paraphrases") as self.whole:
            self.listed = gr.Markdown()
            with gr.Row(elem_id="paraphrase-row") as self.adding:
                self.text = gr.Textbox(
                    label="The same question in other words",
                    info="A round is judged by it and never learns from it.",
                    lines=1,
                    min_width=280,
                )
                self.add = gr.Button("Add", size="md", scale=0, min_width=100)
            self.fault = fault_place()
            with gr.Row(visible=False, elem_id="paraphrase-remove-row") as self.removing:
                self.chosen = gr.Dropdown([], label="Remove one", min_width=280)
                self.remove = gr.Button("Remove", size="md", scale=0, min_width=100)
            self.remove_fault = fault_place()
        self.outputs = {self.whole, self.listed, self.adding, self.text, self.removing, self.chosen}
        bind = binder(app, may_review, workspace, self.outputs)
        bind(self.add.click, self.add_it, rows, self.text, fault=self.fault)
        bind(self.text.submit, self.add_it, rows, self.text, fault=self.fault)
        bind(self.remove.click, self.remove_it, rows, self.chosen, fault=self.remove_fault)

    def show(self, desk: Desk, item: Feedback | None) -> Updates:
        """The paraphrases of an approved correction; nothing for anything else."""
        if item is None or item.status != "approved" or not item.approved_correction:
            return {self.whole: gr.update(visible=False)}
        every = list_paraphrases(desk.db, desk.workspace.id)
        found = [one for one in every if one.feedback_id == item.id]
        return {
            self.whole: gr.update(visible=True),
            self.listed: table(
                ("Paraphrase", "Question"),
                [(one.id, one.question) for one in found],
                empty="No paraphrases. A need corrected in one or two wordings is judged by them.",
            ),
            self.adding: gr.update(visible=may_review(desk.person)),
            self.text: "",
            self.removing: gr.update(visible=bool(found) and may_review(desk.person)),
            self.chosen: gr.update(choices=[(one.question, one.id) for one in found], value=None),
        }

    def add_it(self, desk: Desk, row: int | None, text: str | None) -> Updates:
        """A person wrote it, so it is reviewed as it comes."""
        item = chosen_feedback(desk, row)
        add_paraphrase(desk.db, item.id, text or "", author=desk.person.owner)
        return self.show(desk, item)

    def remove_it(self, desk: Desk, row: int | None, chosen: int | None) -> Updates:
        """Judge by it no more."""
        item = chosen_feedback(desk, row)
        if not isinstance(chosen, int) or paraphrase(desk.db, chosen).feedback_id != item.id:
            raise NotFound("Choose one of this correction's paraphrases.")
        remove_paraphrase(desk.db, chosen, actor=desk.person.owner)
        return self.show(desk, item)
