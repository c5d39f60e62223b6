"""One's own website among the documents: taken in now, or again by itself."""

import json
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.admin.tables import job_state
from assistant.crawl_schedule import next_crawl
from assistant.security import may_administer
from assistant.website import Website, last_website, start_websites
from storage.audit import audit
from storage.database import write_transaction
from storage.errors import BadInput, Refused
from storage.jobs import request_cancel
from storage.workspaces import set_workspace, workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

WATCH_S = 2.0


class WebsiteForm:
    """An address in, and how far its walk is; read from its row, so that a reload shows it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        with gr.Accordion("Your website", open=False, elem_id="website"):
            with gr.Row(elem_id="website-row"):
                self.address = gr.Textbox(
                    label="Website address",
                    placeholder="https://www.example.com/",
                    elem_id="website-address",
                    elem_classes="kept",
                    max_lines=1,
                    scale=4,
                    min_width=280,
                )
                self.pages = gr.Number(label="Pages at most", minimum=1, precision=0, min_width=120)
                self.take = gr.Button("Take it in", size="md", scale=0, min_width=120)
            self.hosts = gr.Textbox(
                label="Its other hosts",
                elem_id="website-hosts",
                elem_classes="kept",
                info="Whose pages belong to it too, such as docs.example.com, apart by spaces",
                max_lines=1,
            )
            self.fault = fault_place()
            with gr.Row(elem_id="website-schedule"):
                self.sites = gr.Textbox(
                    label="Taken in again by itself", info="One address a line", min_width=280
                )
                self.crontab = gr.Textbox(
                    label="When",
                    info="A crontab line: minute, hour, day, month, day of the week",
                    placeholder="0 3 * * *",  # not in the info, which takes stars for Markdown
                    max_lines=1,
                    min_width=160,
                )
                self.save = gr.Button("Save", size="md", scale=0, min_width=100)
            self.schedule_fault = fault_place()
            self.said = gr.Markdown(elem_id="website-said")
        self.state = gr.Markdown(elem_id="website-state")
        self.cancel = gr.Button("Cancel", size="md", scale=0, visible=False)
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S)
        fields = {self.address, self.pages, self.hosts, self.sites, self.crontab, self.said}
        self.outputs = fields | {self.state, self.cancel, self.seen}
        bind = binder(app, may_administer, workspace, self.outputs)
        address = [self.address, self.pages, self.hosts]
        bind(self.take.click, self.take_it, *address, fault=self.fault)
        again = [self.sites, self.crontab, self.pages]
        bind(self.save.click, self.save_it, *again, fault=self.schedule_fault)
        bind(self.cancel.click, self.cancel_it)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def show(self, desk: Desk) -> Updates:
        """The settings as they are, and the last walk."""
        workspace = workspace_by_id(desk.db, desk.workspace.id)
        return {
            self.pages: workspace.settings.site_pages,
            self.sites: "\n".join(workspace.settings.sites),
            self.crontab: workspace.settings.crawl_schedule,
            self.said: next_crawl(workspace),
            **self._progress(desk),
        }

    def watch(self, desk: Desk, seen: str) -> Updates:
        """The state of a walk that goes on; nothing when it stands."""
        return {} if self._said(desk) == seen else self._progress(desk)

    def take_it(
        self, desk: Desk, address: str | None, pages: float | None, hosts: str | None
    ) -> Updates:
        """Begin; from here on everybody's page follows the row."""
        most = int(pages or 0) or desk.workspace.settings.site_pages
        website = Website((address or "").strip(), most, tuple((hosts or "").split()))
        website.check()
        start_websites(self._app, desk.workspace, [website])
        what = {"address": website.address}
        place = f"workspace:{desk.workspace.id}"
        audit(desk.db, desk.person.owner, "website taken in", place, what)
        return self._progress(desk)

    def save_it(
        self, desk: Desk, sites: str | None, crontab: str | None, pages: float | None
    ) -> Updates:
        """Set all or none; what cannot be is said."""
        addresses = (sites or "").split()
        if bool(addresses) != bool((crontab or "").strip()):
            raise BadInput("Give addresses and when, or neither of them.")
        values = {
            "sites": json.dumps(addresses),
            "crawl_schedule": crontab or "",
            "site_pages": str(int(pages or 0)),
        }
        with write_transaction(desk.db):
            for key, value in values.items():
                set_workspace(desk.db, desk.workspace.name, key, value, actor=desk.person.owner)
        shown = self.show(desk)
        return {**shown, self.said: f"Saved. {shown[self.said] or 'None is taken in by itself.'}"}

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask it to stop; what was taken in by then stays."""
        job = last_website(desk.db, desk.workspace.id)
        if job is None or job.finished_at is not None:
            raise Refused("No website is being taken in.")
        request_cancel(desk.db, job.id)
        return self._progress(desk)

    def _progress(self, desk: Desk) -> Updates:
        job, said = last_website(desk.db, desk.workspace.id), self._said(desk)
        running = job is not None and job.finished_at is None
        return {self.state: said, self.seen: said, self.cancel: gr.update(visible=running)}

    def _said(self, desk: Desk) -> str:
        job = last_website(desk.db, desk.workspace.id)
        return job_state(job, "Last website") if job else ""
