"""Backups on record, and a way to delete those that may hold what was erased since."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder
from assistant.admin.feedback_view import day_and_time
from assistant.admin.tables import table
from assistant.purging import purge_backups
from assistant.security import may_administer
from storage.backup import Backup, holding_erased, recorded_backups

if TYPE_CHECKING:
    from assistant.app import App

FOUND = {
    "deleted": "deleted",
    "gone": "was gone already",
    "another file": "is another file now: left alone",
}


class BackupsForm:
    """The list, and deleting asked twice."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Backups", open=False, elem_id="backups"):
            self.listed = gr.Markdown(elem_id="backups-listed")
            self.purge = gr.Button(
                "Delete what may hold erased words…", size="md", scale=0, visible=False
            )
            with gr.Column(visible=False, elem_id="purge-sure") as self.sure:
                self.question = gr.Markdown()
                with gr.Row():
                    self.yes = gr.Button("Yes, delete them", variant="stop", size="md")
                    self.no = gr.Button("Keep them", size="md")
            self.done = gr.Markdown(elem_id="purged")
        self.outputs = {self.listed, self.purge, self.sure, self.question, self.done}
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.purge.click, self.ask)
        bind(self.no.click, self.show)
        bind(self.yes.click, self.purge_it)

    def show(self, desk: Desk) -> Updates:
        """All that were not deleted by us."""
        holding = {item.id for item in holding_erased(desk.db)}
        return {
            self.listed: table(
                ("File", "Made (UTC)", "Size", "Older than an erasure"),
                [_row(item, item.id in holding) for item in recorded_backups(desk.db)],
                empty="No backups on record.",
            ),
            self.purge: gr.update(visible=bool(holding)),
            self.sure: gr.update(visible=False),
            self.done: "",
        }

    def ask(self, desk: Desk) -> Updates:
        """Are these the ones?"""
        count = len(holding_erased(desk.db))
        named = f"{count} backups" if count != 1 else "1 backup"
        return {
            self.question: f"<p>Delete {named} made before the last erasure? This cannot be "
            "undone: make a new backup first if there is no other.</p>",
            self.sure: gr.update(visible=bool(count)),
        }

    def purge_it(self, desk: Desk) -> Updates:
        """Delete the files; the certificates name them no more."""
        gone = list(purge_backups(self._app, desk.db, actor=desk.person.owner))
        rows = [(item.path, FOUND.get(found, found)) for item, found in gone]
        told = table(("File", "What was done"), rows, empty="No backup is older than an erasure.")
        return {**self.show(desk), self.done: told}


def _row(item: Backup, holding: bool) -> tuple[Any, ...]:
    size = f"{item.size / 2**20:.1f} MB"
    return item.path, day_and_time(item.created_at), size, "yes" if holding else "no"
