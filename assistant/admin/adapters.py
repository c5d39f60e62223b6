"""Adapters: what rounds made, which one serves, promote, roll back, delete, and their ways in."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from assistant.adapter_deletion import delete_with_files
from assistant.admin.adapter_upload import AdapterUpload
from assistant.admin.adapters_view import adapter_label, adapter_table
from assistant.admin.compare import CompareForm
from assistant.admin.copies import CopiesForm
from assistant.admin.desk import Desk, Refresh, Updates, alert, at_desk, binder, fault_place
from assistant.admin.lineage_view import lineage_view
from assistant.admin.rebase import RebaseForm
from assistant.plain_markdown import plain_markdown
from assistant.plot_sources import served_by
from assistant.plots import figure
from assistant.promotion import let_serve, refuse_other_base
from assistant.security import may_administer
from storage.adapters import adapter, list_adapters, refuse_serving, rollback, serving_adapter
from storage.errors import BadInput, NotFound, Refused
from storage.records import Adapter
from storage.rounds import tuning_round
from tuning.adapter_files import read_notes

if TYPE_CHECKING:
    from assistant.app import App

WATCH_S = 2.0


class AdaptersTab:
    """The list, the three decisions, each asked twice, and the works that make adapters."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        self.listed = gr.Markdown(elem_id="adapters")
        # all text in it is escaped, and the sanitiser would take the drawing's viewBox away
        self.served = gr.Markdown(sanitize_html=False, elem_id="served")
        with gr.Row(elem_id="promote-row"):
            self.chosen = gr.Dropdown([], label="Adapter", elem_id="adapter", min_width=240)
            self.promote = gr.Button("Let it serve…", size="md", scale=0, min_width=140)
            self.back = gr.Button("Roll back…", size="md", scale=0, min_width=140)
            self.delete = gr.Button("Delete…", size="md", scale=0, min_width=110)
        self.fault = fault_place()
        with gr.Column(visible=False, elem_id="adapter-sure") as self.sure:
            self.question = gr.Markdown()
            self.reason = gr.Textbox(label="Reason, for the record", lines=1, visible=False)
            self.sure_fault = fault_place()
            with gr.Row():
                self.yes_promote = gr.Button("Yes, let it serve", variant="primary", size="md")
                self.yes_back = gr.Button("Yes, roll back", variant="primary", size="md")
                self.yes_delete = gr.Button("Yes, delete it", variant="stop", size="md")
                self.no = gr.Button("Leave it as it is", size="md")
        self.compare = CompareForm(app, workspace)
        self.copies = CopiesForm(app, workspace)
        self.upload = AdapterUpload(app)
        self.rebase = RebaseForm(app)
        self.notes = gr.Markdown(elem_id="release-notes")
        self.learned = gr.Button("What did it learn from?", size="md", scale=0, min_width=220)
        self.lineage = gr.Markdown(elem_id="lineage")
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S)
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {
            *(self.listed, self.served, self.chosen, self.back, self.sure, self.question),
            *(self.reason, self.yes_promote, self.yes_back, self.yes_delete, self.sure_fault),
            *(self.notes, self.lineage, self.learned, self.seen),
            *self.upload.outputs,
            *self.rebase.outputs,
        }

        # a deleted one is offered nowhere
        outputs |= self.copies.outputs | self.compare.outputs
        bind = binder(app, may_administer, workspace, outputs)
        self._wire_works(bind)
        handler = at_desk(app, may_administer, self.open, silent=True)
        self.refresh = Refresh(handler, [], outputs)
        fault, sure = self.fault, self.sure_fault
        bind(self.chosen.input, self.read, self.chosen, fault=fault)
        bind(self.promote.click, self.ask_promote, self.chosen, fault=fault)
        bind(self.back.click, self.ask_back, fault=fault)
        bind(self.delete.click, self.ask_delete, self.chosen, fault=fault)
        bind(self.no.click, self.show)
        bind(self.yes_promote.click, self.promote_it, self.chosen, self.reason, fault=sure)
        bind(self.yes_back.click, self.roll_back, fault=sure)
        bind(self.yes_delete.click, self.delete_it, self.chosen, fault=sure)
        bind(self.learned.click, self.learned_from, self.chosen, fault=fault)

    def _wire_works(self, bind: Callable[..., None]) -> None:
        """The long works, whose ends change the list."""
        rebase, upload = self.rebase, self.upload
        slow = {"show_progress": "full", "show_progress_on": upload.state, "fault": upload.fault}
        bind(upload.file.upload, upload.take_in, upload.file, **slow)
        bind(rebase.ask.click, rebase.ask_it, rebase.name, fault=rebase.fault)
        bind(rebase.yes.click, rebase.begin, rebase.name, fault=rebase.fault)
        bind(rebase.no.click, rebase.not_now)
        bind(rebase.cancel.click, rebase.cancel_it)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def open(self, desk: Desk) -> Updates:
        """The tab as it is opened; what somebody chooses for a copy is left alone later."""
        beside = {**self.compare.show(desk), **self.copies.show(desk)}
        return {**self.show(desk), **beside, **self._works(desk)}

    def watch(self, desk: Desk, seen: str) -> Updates:
        """How far an import or a rebase is, and the list with it, if anything moved."""
        if self._mark(desk) == seen:
            return {}
        return {**self._listing(desk), **self._works(desk)}

    def show(self, desk: Desk) -> Updates:
        """The list as it is now, nothing chosen and nothing asked."""
        serving = serving_adapter(desk.db, desk.workspace.id)
        listing = self._listing(desk)
        listing[self.chosen]["value"] = None
        return {
            **listing,
            self.sure: gr.update(visible=False),
            self.reason: gr.update(value="", visible=False),
            **self._told(serving),
        }

    def _works(self, desk: Desk) -> Updates:
        return {
            **self.upload.show(desk),
            **self.rebase.show(desk),
            self.seen: self._mark(desk),
        }

    def _mark(self, desk: Desk) -> str:
        return self.upload.said(desk) + self.rebase.said(desk)

    def _listing(self, desk: Desk) -> Updates:
        found = list_adapters(desk.db, desk.workspace.id)
        rounds = [tuning_round(desk.db, item.round_id) for item in found if item.round_id]
        verdicts = {one.id: one.verdict for one in rounds}
        imported = [one.id for one in rounds if "imported" in one.config]
        serving = serving_adapter(desk.db, desk.workspace.id)
        choices = [(adapter_label(item), item.id) for item in found if item.status != "serving"]
        return {
            self.listed: adapter_table(found, verdicts, imported),
            self.served: figure(
                served_by(desk.db, desk.workspace.id), "adapters", workspace=desk.workspace.id
            ),
            self.chosen: gr.update(choices=choices),
            self.back: gr.update(visible=serving is not None),
        }

    def read(self, desk: Desk, chosen: int | None) -> Updates:
        """The release notes of the chosen adapter; what was asked about another one, no more."""
        return {**self._told(self._item(desk, chosen)), self.sure: gr.update(visible=False)}

    def learned_from(self, desk: Desk, chosen: int | None) -> Updates:
        """The lineage of the chosen adapter, or of the one that serves."""
        from assistant.commands.adapters import lineage

        serving = serving_adapter(desk.db, desk.workspace.id)
        shown = serving if chosen is None and serving else self._item(desk, chosen)
        return {self.lineage: lineage_view(shown.id, list(lineage(self._app, id=shown.id)))}

    def ask_promote(self, desk: Desk, chosen: int | None) -> Updates:
        """Is it this one? Against the gate's word a reason is asked for."""
        item = self._item(desk, chosen)
        refuse_other_base(self._app, item)
        passed = _passed(desk, item)
        against = "" if passed else " The gate did not say so; your reason is kept in the audit."
        return {
            self.question: f"Adapter {item.id} will answer from the next question on.{against}",
            **self._asking(self.yes_promote),
            self.reason: gr.update(visible=not passed, value=""),
        }

    def ask_back(self, desk: Desk) -> Updates:
        """Back to what served before?"""
        now = serving_adapter(desk.db, desk.workspace.id)
        if now is None:
            raise Refused("The base model serves: there is nothing to roll back.")
        return {
            self.question: f"Adapter {now.id} retires, and what served before it answers again.",
            **self._asking(self.yes_back),
            self.reason: gr.update(visible=False),
        }

    def ask_delete(self, desk: Desk, chosen: int | None) -> Updates:
        """Is it this one?"""
        item = self._item(desk, chosen)
        refuse_serving(item)
        return {
            self.question: f"The files of adapter {item.id} go for good. What it was taught stays "
            "on record, and copies that were exported or pushed stay where they are.",
            **self._asking(self.yes_delete),
            self.reason: gr.update(visible=False),
        }

    def promote_it(self, desk: Desk, chosen: int | None, reason: str) -> Updates:
        """Its files are verified and loaded first, so that a broken one never serves."""
        item = self._item(desk, chosen)
        refuse_other_base(self._app, item)
        self._app.load_adapter(item.id)
        let_serve(
            self._app,
            desk.db,
            item.id,
            actor=desk.person.owner,
            reason=None if _passed(desk, item) else (reason or "").strip() or None,
        )
        return self.show(desk)

    def delete_it(self, desk: Desk, chosen: int | None) -> Updates:
        """Its files; its row stays for the lineage of those made from it."""
        item = self._item(desk, chosen)
        delete_with_files(self._app, desk.db, item.id, actor=desk.person.owner)
        return self.open(desk)

    def roll_back(self, desk: Desk) -> Updates:
        """The one that served before, or the base."""
        rollback(desk.db, desk.workspace.id, actor=desk.person.owner)
        return self.show(desk)

    def _told(self, item: Adapter | None) -> Updates:
        """Its release notes; whose lineage was shown before, is not shown under them."""
        return {
            self.notes: self._notes(item),
            self.learned: gr.update(visible=item is not None),
            self.lineage: "",
        }

    def _notes(self, item: Adapter | None) -> str:
        if item is None:
            return ""
        notes = read_notes(self._app.adapter_folder(item.id))
        said = plain_markdown(notes) or "It has no release notes."  # an import brings its own
        return f"**Adapter {item.id}**\n\n{said}"

    def _asking(self, yes: gr.Button) -> Updates:
        every = (self.yes_promote, self.yes_back, self.yes_delete)
        shown = {button: gr.update(visible=button is yes) for button in every}
        return {self.sure: gr.update(visible=True), self.sure_fault: alert(""), **shown}

    def _item(self, desk: Desk, chosen: int | None) -> Adapter:
        """The adapter, if it is of the workspace that is shown."""
        if not isinstance(chosen, int):
            raise BadInput("Choose an adapter of the list first.")
        item = adapter(desk.db, chosen)
        if item.workspace_id != desk.workspace.id:
            raise NotFound("There is no such adapter in this workspace.")
        return item


def _passed(desk: Desk, item: Adapter) -> bool:
    """Whether the adapter may serve without anybody's reason."""
    if item.status == "retired":
        return True
    if item.status != "candidate" or item.round_id is None:
        return False
    return tuning_round(desk.db, item.round_id).verdict == "promote"
