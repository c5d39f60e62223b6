"""A verified backup at the press of a button, and one of them to take along."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.backup_job import backups_here, last_backup, start_backup
from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.tables import job_state
from assistant.downloads import backup_address
from assistant.security import may_administer
from storage.backup import Backup
from storage.errors import BadInput, Refused
from storage.jobs import request_cancel

if TYPE_CHECKING:
    from assistant.app import App

WATCH_S = 2.0
NONE_YET = '<p class="note">No backup was made from this page yet.</p>'


class BackupForm:
    """Made into the data directory; how far it is, is read from its row, so a reload shows it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Row(elem_id="backup-row"):
            self.make = gr.Button("Make a backup", size="md", scale=0, min_width=180)
            self.cancel = gr.Button("Cancel", size="md", scale=0, visible=False)
        self.fault = fault_place()
        self.state = gr.Markdown(elem_id="backup-state")
        with gr.Row(visible=False, elem_id="backup-take-row") as self.taking:
            self.chosen = gr.Dropdown([], label="Take one along", min_width=240, elem_id="backup")
            self.take = gr.Button("Take it…", size="md", scale=0, min_width=120)
        self.take_fault = fault_place()
        with gr.Column(visible=False, elem_id="backup-sure") as self.sure:
            self.question = gr.Markdown()
            with gr.Row():
                self.fetch = gr.Button("Download", variant="primary", size="md")
                self.no = gr.Button("Leave it here", size="md")
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S, active=False)
        self.outputs = {
            *(self.cancel, self.state, self.taking, self.chosen, self.sure, self.question),
            *(self.fetch, self.seen, self.timer),
        }
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.make.click, self.begin, fault=self.fault)
        bind(self.cancel.click, self.cancel_it, fault=self.fault)
        bind(self.take.click, self.ask, self.chosen, fault=self.take_fault)
        bind(self.no.click, self.not_now)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def show(self, desk: Desk) -> Updates:
        """How far the last one is, and those that can be taken along."""
        job = last_backup(desk.db)
        running = job is not None and job.finished_at is None
        here = backups_here(self._app, desk.db)
        return {
            self.state: self._said(desk),
            self.seen: self._said(desk),
            self.cancel: gr.update(visible=running),
            self.timer: gr.Timer(active=running),
            self.taking: gr.update(visible=bool(here)),
            self.chosen: gr.update(
                choices=[(_label(item), item.id) for item in here],
                value=here[0].id if here else None,
            ),
            **self.not_now(desk),
        }

    def watch(self, desk: Desk, seen: str) -> Updates:
        """How far it is, if it moved since this page last looked."""
        return {} if self._said(desk) == seen else self.show(desk)

    def begin(self, desk: Desk) -> Updates:
        """From here on everybody's page follows the row."""
        start_backup(self._app, actor=desk.person.owner)
        return self.show(desk)

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask it to stop; nothing of it is left."""
        job = last_backup(desk.db)
        if job is None or job.finished_at is not None:
            raise Refused("No backup is being made.")
        request_cancel(desk.db, job.id)
        return self.show(desk)

    def ask(self, desk: Desk, chosen: int | None) -> Updates:
        """What leaves the house?"""
        here = {item.id: item for item in backups_here(self._app, desk.db)}
        if not isinstance(chosen, int) or chosen not in here:
            raise BadInput("Choose a backup of the list first.")
        return {
            self.question: f"{_label(here[chosen])} holds all that people wrote, in every "
            "workspace, and the secrets of this server. That you took it is kept on record.",
            self.fetch: gr.update(link=backup_address(chosen)),
            self.sure: gr.update(visible=True),
        }

    def not_now(self, desk: Desk) -> Updates:
        """The question away."""
        return {self.sure: gr.update(visible=False)}

    def _said(self, desk: Desk) -> str:
        job = last_backup(desk.db)
        return job_state(job, "Last backup") if job else NONE_YET


def _label(item: Backup) -> str:
    size = f"{item.size / 2**20:.1f} MB"
    return f"{Path(item.path).name} · {day_and_time(item.created_at)} UTC · {size}"
