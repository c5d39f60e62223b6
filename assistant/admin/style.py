"""One's own writing as lessons in style: mails, documents or rows in, requests to be reviewed."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.style_job import last_style, start_style
from assistant.admin.tables import job_state
from assistant.security import may_administer
from storage.errors import BadInput, Refused
from storage.jobs import request_cancel

if TYPE_CHECKING:
    from assistant.app import App

FILE_TYPES = [".jsonl", ".mbox", ".eml", ".md", ".txt", ".html", ".htm", ".pdf", ".docx"]
WATCH_S = 2.0


class StyleForm:
    """Files in, and how far their import is; read from its row, so that a reload shows it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Learn a style from one's own writing", open=False, elem_id="style"):
            self.files = gr.File(
                label="Mails, documents or .jsonl rows",
                file_count="multiple",
                file_types=FILE_TYPES,
                height=140,
                elem_id="style-files",
            )
            with gr.Row(elem_id="style-row"):
                self.author = gr.Textbox(
                    label="The author's mail address (for a mailbox of several senders)",
                    lines=1,
                    min_width=280,
                    elem_id="style-author",
                    elem_classes="kept",
                )
                self.take = gr.Button("Take it in", size="md", scale=0, min_width=120)
            self.fault = fault_place()
            self.approve = gr.Checkbox(
                label="Approve texts whose request is known; drafted requests wait for a review"
            )
        self.state = gr.Markdown(elem_id="style-state")
        self.cancel = gr.Button("Cancel", size="md", scale=0, visible=False)
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S)
        self.outputs = {self.files, self.state, self.cancel, self.seen}
        bind = binder(app, may_administer, workspace, self.outputs)
        given = [self.files, self.author, self.approve]
        bind(self.take.click, self.take_it, *given, fault=self.fault)
        bind(self.cancel.click, self.cancel_it)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def show(self, desk: Desk) -> Updates:
        """How far the last import is, or how it ended."""
        job = last_style(desk.db, desk.workspace.id)
        said = self._said(desk)
        running = job is not None and job.finished_at is None
        return {self.state: said, self.seen: said, self.cancel: gr.update(visible=running)}

    def watch(self, desk: Desk, seen: str) -> Updates:
        """The state of an import that runs; nothing when it stands."""
        return {} if self._said(desk) == seen else self.show(desk)

    def take_it(
        self, desk: Desk, files: list[str] | None, author: str | None, approve: bool
    ) -> Updates:
        """Begin; from here on everybody's page follows the row."""
        if not files:
            raise BadInput("Add a file first: mails, documents or rows.")
        start_style(
            self._app,
            desk.workspace,
            [Path(name) for name in files],
            (author or "").strip() or None,
            approve=bool(approve),
            actor=desk.person.owner,
        )
        return {**self.show(desk), self.files: None}

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask it to stop; while requests are drafted, nothing of it is kept."""
        job = last_style(desk.db, desk.workspace.id)
        if job is None or job.finished_at is not None:
            raise Refused("No writing is being taken in.")
        request_cancel(desk.db, job.id)
        return self.show(desk)

    def _said(self, desk: Desk) -> str:
        job = last_style(desk.db, desk.workspace.id)
        return job_state(job, "Last writing") if job else ""
