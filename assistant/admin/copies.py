"""Copies of an adapter: export to a folder on the server, push to the Hub."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.adapters_view import adapter_label
from assistant.admin.copy_job import EXPORT, last_copy, start_export, start_push
from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.tables import job_state
from assistant.chat_view import one_line
from assistant.security import may_administer
from storage.adapters import adapter, list_adapters
from storage.errors import BadInput, NotFound, Refused
from storage.jobs import request_cancel
from storage.records import Adapter

if TYPE_CHECKING:
    from assistant.app import App

WATCH_S = 2.0
FORMATS = {
    "peft": ("PEFT folder", "peft", ""),
    "merged": ("One model: merged safetensors", "merged", ""),
    "gguf f16": ("One model: GGUF, 16 bits", "gguf", "f16"),
    "gguf q8_0": ("One model: GGUF, 8 bits", "gguf", "q8_0"),
}
"""Choice -> its name, the export's format and its quantization."""


class CopiesForm:
    """Both ways out, and how far the last copy is; read from its row, so that a reload shows it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Export or push", open=False, elem_id="copies"):
            self.adapter = gr.Dropdown([], label="Adapter to copy", elem_id="copy-adapter")
            with gr.Row(elem_id="export-row"):
                self.format = gr.Dropdown(
                    [(name, key) for key, (name, *_) in FORMATS.items()],
                    value="peft",
                    label="Form",
                    min_width=240,
                )
                self.folder = gr.Textbox(
                    label="New folder on the server", placeholder="/srv/models/…", min_width=240
                )
                self.export = gr.Button("Export", size="md", scale=0, min_width=120)
            self.anyway = gr.Textbox(
                label="Keep it even if it answers otherwise, because",
                info="A reason, for the record; without one such a model is not kept",
                max_lines=1,
                elem_id="export-anyway",
            )
            self.export_fault = fault_place()
            with gr.Row(elem_id="push-row"):
                self.repo = gr.Textbox(
                    label="Repository on the Hub (with the server's HF_TOKEN)",
                    placeholder="NAME/REPO",
                    min_width=240,
                )
                self.push = gr.Button("Push…", size="md", scale=0, min_width=120)
            self.public = gr.Checkbox(label="Everybody may read it on the Hub", value=False)
            self.push_fault = fault_place()
            with gr.Column(visible=False, elem_id="push-sure") as self.sure:
                self.question = gr.Markdown()
                with gr.Row():
                    self.yes = gr.Button("Yes, push it", variant="primary", size="md")
                    self.no = gr.Button("Leave it here", size="md")
        self.state = gr.Markdown(elem_id="copy-state")
        self.cancel = gr.Button("Cancel the copy", size="md", scale=0, visible=False)
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S)
        self.outputs = {
            *(self.adapter, self.anyway, self.sure, self.question),
            *(self.state, self.cancel, self.seen),
        }
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        bind = binder(app, may_administer, workspace, self.outputs)
        asked = (self.adapter, self.format, self.folder, self.anyway)
        bind(self.export.click, self.export_it, *asked, fault=self.export_fault)
        pushed, fault = (self.adapter, self.repo, self.public), self.push_fault
        bind(self.push.click, self.ask_push, *pushed, fault=fault)
        bind(self.yes.click, self.push_it, *pushed, fault=fault)
        bind(self.no.click, self.not_now)
        bind(self.cancel.click, self.cancel_it)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def show(self, desk: Desk) -> Updates:
        """The adapters that can be copied, and the last copy."""
        found = list_adapters(desk.db, desk.workspace.id)
        choices = [(adapter_label(item), item.id) for item in found]
        chosen = next((item.id for item in found if item.status == "serving"), None)
        return {
            self.adapter: gr.update(choices=choices, value=chosen),
            **self.not_now(desk),
            **self._last(desk),
        }

    def watch(self, desk: Desk, seen: str) -> Updates:
        """How far the copy is, if it moved since this page last looked."""
        return {} if self._said(desk) == seen else self._last(desk)

    def export_it(
        self,
        desk: Desk,
        chosen: int | None,
        form: str,
        folder: str | None,
        anyway: str | None = None,
    ) -> Updates:
        """Begin; from here on everybody's page follows the row."""
        known = self._item(desk, chosen)
        if form not in FORMATS:
            raise BadInput("Choose a form of the list.")
        _, format, quantization = FORMATS[form]
        start_export(
            self._app,
            known,
            format,
            quantization,
            folder or "",
            anyway=(anyway or "").strip() or None,
            actor=desk.person.owner,
        )
        return {**self._last(desk), self.anyway: ""}

    def ask_push(self, desk: Desk, chosen: int | None, repo: str | None, public: bool) -> Updates:
        """What leaves the house, to whom?"""
        known = self._item(desk, chosen)
        if not (repo or "").strip():
            raise BadInput("Name the repository on the Hub: NAME/REPO.")
        whom = "everybody may read it" if public else "a private repository"
        where = one_line(repo or "")
        return {
            self.question: f"<p>Adapter {known.id} goes to <strong>{where}</strong>, {whom}. "
            "Its figures go along, and nothing that people wrote.</p>",
            self.sure: gr.update(visible=True),
        }

    def push_it(self, desk: Desk, chosen: int | None, repo: str | None, public: bool) -> Updates:
        """Begin to upload."""
        known = self._item(desk, chosen)
        start_push(self._app, known, repo or "", public=bool(public), actor=desk.person.owner)
        return {**self.not_now(desk), **self._last(desk)}

    def not_now(self, desk: Desk) -> Updates:
        """The question away."""
        return {self.sure: gr.update(visible=False)}

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask the copy that is being made to stop; nothing of it is left."""
        job = last_copy(desk.db, desk.workspace.id)
        if job is None or job.finished_at is not None:
            raise Refused("No copy is being made in this workspace.")
        request_cancel(desk.db, job.id)
        return self._last(desk)

    def _last(self, desk: Desk) -> Updates:
        job = last_copy(desk.db, desk.workspace.id)
        said = self._said(desk)
        open_export = job is not None and job.finished_at is None and job.kind == EXPORT
        return {
            self.state: said,
            self.seen: said,
            self.cancel: gr.update(visible=open_export),
        }

    def _said(self, desk: Desk) -> str:
        job = last_copy(desk.db, desk.workspace.id)
        return job_state(job, f"Last {job.kind}") if job else ""

    def _item(self, desk: Desk, chosen: int | None) -> Adapter:
        """The adapter, if it is of the workspace that is shown."""
        if not isinstance(chosen, int):
            raise BadInput("Choose the adapter to copy first.")
        item = adapter(desk.db, chosen)
        if item.workspace_id != desk.workspace.id:
            raise NotFound("There is no such adapter in this workspace.")
        return item
