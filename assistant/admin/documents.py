"""The documents of a workspace: upload, list, look at, remove, index anew."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.ingest_job import REINDEX, last_ingest, start_ingest, start_reindex
from assistant.admin.passages import PassagesForm
from assistant.admin.style import StyleForm
from assistant.admin.tables import job_state, table
from assistant.admin.website import WebsiteForm
from assistant.chat_view import one_line
from assistant.security import may_administer
from assistant.website import last_website
from storage.audit import audit
from storage.documents import document_by_name, list_documents
from storage.errors import BadInput
from storage.records import Document
from storage.stale import stale_feedback

if TYPE_CHECKING:
    from assistant.app import App

FILE_TYPES = [".md", ".txt", ".html", ".htm", ".pdf", ".docx"]
WATCH_S = 2.0


class DocumentsTab:
    """What can be found, and how it gets in and out."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        self.files = gr.File(
            label="Add documents, up to 64 MB: md, txt, html, pdf, docx",
            file_count="multiple",
            file_types=FILE_TYPES,
            height=140,
            elem_id="upload",
        )
        self.upload_fault = fault_place()
        self.state = gr.Markdown(elem_id="ingest-state")
        self.seen = gr.State("")
        self.website = WebsiteForm(app, workspace)
        self.listed = gr.Markdown(elem_id="documents")
        with gr.Row(elem_id="remove-row"):
            self.name = gr.Dropdown([], label="A document", min_width=240, elem_id="remove-name")
            self.look = gr.Button("Show its passages", size="md", scale=0, min_width=170)
            self.remove = gr.Button("Remove…", size="md", scale=0, min_width=120)
        self.fault = fault_place()
        with gr.Row(visible=False, elem_id="remove-sure") as self.sure:
            self.question = gr.Markdown()
            self.yes = gr.Button("Yes, remove it", variant="stop", size="md", scale=0)
            self.no = gr.Button("Keep it", size="md", scale=0)
        self.passages = PassagesForm(app, workspace, self.name)
        self.passages.opened_by(self.look, self.fault)
        self.again = gr.Button("Make the search index anew", size="sm", scale=0, min_width=220)
        self.timer = gr.Timer(WATCH_S)
        self.style = StyleForm(app, workspace)
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {
            *(self.files, self.state, self.seen, self.listed, self.name),
            *(self.sure, self.question),
            *self.website.outputs,
            *self.style.outputs,
            *self.passages.outputs,
        }

        bind = binder(app, may_administer, workspace, outputs)
        handler = at_desk(app, may_administer, self.show, silent=True)
        self.refresh = Refresh(handler, [], outputs)
        bind(self.files.upload, self.add, self.files, fault=self.upload_fault)
        bind(self.timer.tick, self.watch, self.seen, silent=True)
        bind(self.remove.click, self.ask, self.name, fault=self.fault)
        bind(self.no.click, self.show)
        bind(self.yes.click, self.remove_it, self.name, fault=self.fault)
        bind(self.again.click, self.index_anew)

    def show(self, desk: Desk) -> Updates:
        """The list as it is now."""
        shown = {**self._list(desk), **self.passages.closed()}
        return {**shown, **self.website.show(desk), **self.style.show(desk)}

    def watch(self, desk: Desk, seen: str) -> Updates:
        """The state of an ingest that runs, wherever it was started; nothing when it stands."""
        return {} if self._seen(desk) == seen else self._list(desk)

    def _list(self, desk: Desk) -> Updates:
        found = list_documents(desk.db, desk.workspace.id)
        rows = [(item.name, item.chunk_count, day_and_time(item.updated_at)) for item in found]
        stale = stale_note(len(stale_feedback(desk.db, desk.workspace.id)))
        return {
            self.state: self._said(desk) + stale,
            self.seen: self._seen(desk),
            self.listed: table(
                ("Document", "Passages", "Changed (UTC)"),
                rows,
                empty="No documents yet. Add some above.",
            ),
            self.name: gr.update(choices=[item.name for item in found], value=None),
            self.sure: gr.update(visible=False),
        }

    def add(self, desk: Desk, files: list[str] | None) -> Updates:
        """Take the uploaded files in."""
        if not files:
            return {}
        paths = [Path(name) for name in files]
        start_ingest(self._app, desk.workspace, paths)
        audit(
            desk.db,
            desk.person.owner,
            "documents uploaded",
            f"workspace:{desk.workspace.id}",
            {"files": len(paths)},
        )
        return {**self.show(desk), self.files: None}

    def ask(self, desk: Desk, name: str | None) -> Updates:
        """Is it this one?"""
        found = _named(desk, name)
        return {
            self.question: f"<p>Remove <strong>{one_line(found.name)}</strong> "
            f"(passages: {found.chunk_count})? Answers will no longer use it.</p>",
            self.sure: gr.update(visible=True),
        }

    def remove_it(self, desk: Desk, name: str | None) -> Updates:
        """Out of the database, the index and the folder."""
        from knowledge.ingest import remove

        found = _named(desk, name)
        remove(desk.db, self._app.datadir, self._app.index, desk.workspace.id, found.name)
        audit(desk.db, desk.person.owner, "document removed", f"document:{found.id}")
        return self.show(desk)

    def index_anew(self, desk: Desk) -> Updates:
        """Make the workspace's part of the index again, from the database."""
        start_reindex(self._app, desk.workspace)
        audit(desk.db, desk.person.owner, "index made anew", f"workspace:{desk.workspace.id}")
        return self._list(desk)

    def _said(self, desk: Desk) -> str:
        job = last_ingest(desk.db, desk.workspace.id)
        what = "Index made anew" if job and job.kind == REINDEX else "Last upload"
        return job_state(job, what) if job else ""

    def _seen(self, desk: Desk) -> str:
        """What a change of shows that the list may have changed: a website's only once it ends."""
        website = last_website(desk.db, desk.workspace.id)
        ended = f"{website.id} {website.finished_at}" if website else ""
        return self._said(desk) + ended


def stale_note(count: int) -> str:
    """That corrections wait for a decision because their documents changed, as HTML."""
    if not count:
        return ""
    text = f"{count} corrections were" if count > 1 else "1 correction was"
    return f'<p role="alert">{text} made from passages that changed: see Feedback, Stale.</p>'


def _named(desk: Desk, name: str | None) -> Document:
    """The document; a page may send anything in place of its name."""
    if not isinstance(name, str) or not name:
        raise BadInput("Choose the document to remove.")
    return document_by_name(desk.db, desk.workspace.id, name)
