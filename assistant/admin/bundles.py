"""Training elsewhere: a round's bundle to take along, and what came of it back to be judged."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.downloads import bundle_address
from assistant.security import may_administer
from assistant.uploaded_zip import unpacked
from storage.errors import BadInput, NotFound
from storage.records import TuningRound
from storage.rounds import list_rounds, tuning_round
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

SHOWN = 50
"""Newest rounds whose bundles are offered."""


class BundlesForm:
    """A bundle out as a zip, asked twice since it holds what people wrote; OUT back as a zip."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Train elsewhere", open=False, elem_id="bundles"):
            with gr.Row(elem_id="bundle-row"):
                self.round = gr.Dropdown([], label="Round", min_width=240, elem_id="bundle-round")
                self.take = gr.Button("Take its bundle…", size="md", scale=0, min_width=170)
            self.fault = fault_place()
            with gr.Column(visible=False, elem_id="bundle-sure") as self.sure:
                self.question = gr.Markdown()
                with gr.Row():
                    self.fetch = gr.Button("Download", variant="primary", size="md")
                    self.no = gr.Button("Leave it here", size="md")
            self.out = gr.File(
                label="Bring back what was trained: a zip of OUT, up to 64 MB",
                file_types=[".zip"],
                height=120,
                elem_id="bundle-out",
            )
            self.out_fault = fault_place()
        self.outputs = {self.round, self.sure, self.question, self.fetch, self.out}
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.take.click, self.ask, self.round, fault=self.fault)
        bind(self.no.click, self.not_now)
        bind(self.out.upload, self.bring_back, self.out, fault=self.out_fault)

    def show(self, desk: Desk) -> Updates:
        """The rounds whose bundles are here."""
        found = list_rounds(desk.db, desk.workspace.id, SHOWN)
        choices = [(_label(item), item.id) for item in found if self._has_bundle(item)]
        return {self.round: gr.update(choices=choices, value=None), **self.not_now(desk)}

    def ask(self, desk: Desk, chosen: int | None) -> Updates:
        """What leaves the house?"""
        from assistant.round_export import bundle_folders

        known = self._item(desk, chosen)
        bundle_folders(self._app, desk.db, known.id)
        return {
            self.question: f"The bundle of round {known.id} holds what people wrote; that you "
            "took it is kept on record. Unpack it and train it anywhere: "
            "`python -m tuning.run bundle OUT --model FOLDER`.",
            self.fetch: gr.update(link=bundle_address(known.id)),
            self.sure: gr.update(visible=True),
        }

    def not_now(self, desk: Desk) -> Updates:
        """The question away."""
        return {self.sure: gr.update(visible=False)}

    def bring_back(self, desk: Desk, file: str | None) -> Updates:
        """Begin to judge what was trained elsewhere, as a round of its own."""
        from assistant.round_import import start_import

        if not file:
            return {}
        path = Path(file)
        try:
            with unpacked(path, "adapter", within=self._app.datadir.rounds) as out:
                queued = start_import(self._app, out, actor=desk.person.owner)
        finally:
            path.unlink(missing_ok=True)
        if queued.workspace_id != desk.workspace.id:
            home = workspace_by_id(desk.db, queued.workspace_id)
            gr.Info(f"It is judged in the workspace {home.name!r}, where its bundle is from.")
        return {self.out: None}

    def _has_bundle(self, item: TuningRound) -> bool:
        return (self._app.datadir.rounds / str(item.id) / "bundle").is_dir()

    def _item(self, desk: Desk, chosen: int | None) -> TuningRound:
        """The round, if it is of the workspace that is shown."""
        if not isinstance(chosen, int):
            raise BadInput("Choose the round whose bundle you want first.")
        item = tuning_round(desk.db, chosen)
        if item.workspace_id != desk.workspace.id:
            raise NotFound("There is no such round in this workspace.")
        return item


def _label(item: TuningRound) -> str:
    return f"{item.id} · {item.verdict or item.state} · {day_and_time(item.created_at)}"
