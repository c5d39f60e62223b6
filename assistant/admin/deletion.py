"""The workspace that is shown, deleted: what is lost is said first, its name is typed."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, alert, binder, fault_place
from assistant.chat_view import one_line
from assistant.security import may_administer
from assistant.workspace_deletion import delete_all_of, what_is_lost
from storage.errors import BadInput
from storage.records import Workspace
from storage.workspaces import DEFAULT, workspace

if TYPE_CHECKING:
    from assistant.app import App


class DeletionForm:
    """Opened by a button, so that what is lost is counted then."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        self.ask = gr.Button("Delete this workspace…", size="md", scale=0, min_width=220)
        with gr.Column(visible=False, elem_id="workspace-sure") as self.sure:
            self.question = gr.Markdown()
            self.typed = gr.Textbox(label="Type its name", max_lines=1, elem_id="workspace-typed")
            self.fault = fault_place()
            with gr.Row():
                self.yes = gr.Button("Delete it for good", variant="stop", size="md")
                self.no = gr.Button("Keep it", size="md")
        self.outputs = {self.sure, self.question, self.typed, self.fault}
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.ask.click, self.ask_it)
        bind(self.no.click, self.closed)

    def closed(self, desk: Desk) -> Updates:
        """Nothing asked."""
        return {
            self.sure: gr.update(visible=False),
            self.typed: "",
            self.fault: alert(""),
        }

    def ask_it(self, desk: Desk) -> Updates:
        """Is it meant, with all that is in it?"""
        name = one_line(desk.workspace.name)
        lost = one_line(what_is_lost(desk.db, desk.workspace))
        return {
            **self.closed(desk),
            self.question: f"<p>With <strong>{name}</strong> go for good: {lost}. Backups made "
            "before still hold them.</p>",
            self.sure: gr.update(visible=True),
        }

    def delete_it(self, desk: Desk, typed: str | None) -> Workspace:
        """As `workspaces delete`; returns the one that is shown from then on."""
        name = desk.workspace.name
        if (typed or "").strip() != name:
            raise BadInput(f"Type {name!r} to delete it: {(typed or '')[:63]!r} is not it.")
        delete_all_of(self._app, desk.db, name, actor=desk.person.owner)
        return workspace(desk.db, DEFAULT)
