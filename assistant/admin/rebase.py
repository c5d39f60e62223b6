"""New base, same lessons: asked twice, then followed from its row by any page."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, fault_place
from assistant.admin.rebase_job import cancel_rebase, last_rebase, start_rebase
from assistant.admin.tables import job_state
from assistant.chat_view import one_line
from storage.errors import BadInput

if TYPE_CHECKING:
    from assistant.app import App


class RebaseForm:
    """The other base model's name, the question, and how far it is."""

    def __init__(self, app: "App") -> None:
        self._app = app
        with gr.Accordion("Another base model", open=False, elem_id="rebase"):
            with gr.Row(elem_id="rebase-row"):
                self.name = gr.Textbox(
                    label="Base model",
                    info="A Hub id, or a folder on the server",
                    elem_id="rebase-name",
                    elem_classes="kept",
                    max_lines=1,
                    min_width=240,
                )
                self.ask = gr.Button("Teach it the same…", size="md", scale=0, min_width=200)
            self.fault = fault_place()
            with gr.Column(visible=False, elem_id="rebase-sure") as self.sure:
                self.question = gr.Markdown()
                with gr.Row():
                    self.yes = gr.Button("Yes, begin", variant="primary", size="md")
                    self.no = gr.Button("Leave it as it is", size="md")
        self.state = gr.Markdown(elem_id="rebase-state")
        self.cancel = gr.Button("Cancel the rebase", size="md", scale=0, visible=False)
        self.outputs = {self.sure, self.question, self.state, self.cancel}

    def show(self, desk: Desk) -> Updates:
        """How far the last one is."""
        job = last_rebase(desk.db)
        running = job is not None and job.finished_at is None
        return {self.state: self.said(desk), self.cancel: gr.update(visible=running)}

    def said(self, desk: Desk) -> str:
        """The last rebase in words, as HTML; '' when there was none."""
        job = last_rebase(desk.db)
        return job_state(job, "Last rebase") if job else ""

    def ask_it(self, desk: Desk, name: str | None) -> Updates:
        """What is done to whom?"""
        if not (name or "").strip():
            raise BadInput("Name the base model: a Hub id, or a folder on the server.")
        return {
            self.question: f"<p>A round on <strong>{one_line(name or '')}</strong> for every "
            "workspace that has an adapter. The base changes for the whole house, at the next "
            "start, and only if the gate prefers each of them.</p>",
            self.sure: gr.update(visible=True),
        }

    def begin(self, desk: Desk, name: str | None) -> Updates:
        """Begin; from here on everybody's page follows the row."""
        start_rebase(self._app, name or "", actor=desk.person.owner)
        return {**self.not_now(desk), **self.show(desk)}

    def not_now(self, desk: Desk) -> Updates:
        """The question away."""
        return {self.sure: gr.update(visible=False)}

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask it to stop; what was made is rejected."""
        cancel_rebase(self._app, desk.db)
        return self.show(desk)
