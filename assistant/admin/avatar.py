"""The assistant's picture in the workspace that is shown: given as a file, or taken away."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, alert, binder, fault_place
from assistant.avatar import FILE_BYTES, FILE_TYPES, SIDE, avatar_address
from assistant.security import may_administer
from assistant.workspace_values import put_values
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App


class AvatarForm:
    """Saved as soon as the file is there, so that one sees what became of it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Row(elem_id="avatar-row"):
            self.shown = gr.Markdown(elem_id="avatar-shown")
            self.file = gr.File(
                label=f"The assistant's picture, up to {FILE_BYTES >> 20} MB: png, jpg, webp",
                file_types=FILE_TYPES,
                height=140,
                elem_id="avatar-upload",
            )
            self.remove = gr.Button("Take the picture away", size="md", scale=0, min_width=190)
        self.fault = fault_place()
        self.outputs = {self.shown, self.file, self.remove, self.fault}
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.file.upload, self.keep, self.file, fault=self.fault)
        bind(self.remove.click, self.take_away, fault=self.fault)

    def show(self, desk: Desk) -> Updates:
        """The picture as the chat page has it."""
        known = workspace_by_id(desk.db, desk.workspace.id)
        address = escape(avatar_address(known))
        alt = "The assistant's picture"
        drawn = f'<img src="{address}" alt="{alt}" width="{SIDE // 2}" height="{SIDE // 2}">'
        return {
            self.shown: drawn if address else '<p class="note">No picture.</p>',
            self.file: None,
            self.remove: gr.update(visible=bool(address)),
            self.fault: alert(""),
        }

    def keep(self, desk: Desk, file: str | None) -> Updates:
        """The file that was chosen, instead of what there was."""
        if not file:
            return {}
        try:
            self._put(desk, file)
        finally:
            Path(file).unlink(missing_ok=True)
        return self.show(desk)

    def take_away(self, desk: Desk) -> Updates:
        """None from now on."""
        self._put(desk, "")
        return self.show(desk)

    def _put(self, desk: Desk, path: str) -> None:
        values = {"avatar": path}
        put_values(self._app, desk.db, desk.workspace.name, values, actor=desk.person.owner)
