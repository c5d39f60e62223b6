"""The first tab: what goes on in the workspace, what serves, the room it takes, its health."""

import shutil
import time
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.backup_form import BackupForm
from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder
from assistant.admin.ratings_plot import ratings_plot
from assistant.admin.tables import facts, table
from assistant.overview import Overview, disk_use, overview
from assistant.plots import figure
from assistant.security import may_administer, may_see
from storage.adapters import serving_adapter
from storage.overview import MOST
from storage.queue_filter import COUNTED
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App
    from assistant.doctor_check import Check

SIGNS = {"ok": "✓ well", "warn": "! look at it", "fail": "✗ wrong"}
UNRATED = '<p class="note">Nobody has rated an answer in the last weeks.</p>'


class OverviewTab:
    """For others the workspace alone; the house, its disk and its health for admins."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self.counts = gr.Markdown(elem_id="overview-counts")
        self.ratings = gr.Markdown(sanitize_html=False, elem_id="overview-ratings")
        with gr.Column(visible=False, elem_id="overview-house") as self.house:
            self.serving = gr.Markdown()
            self.disk = gr.Markdown()
            gr.Markdown("## Backup")
            self.backup = BackupForm(app, workspace)
            gr.Markdown("## Health")
            self.check = gr.Button("Check everything", size="md", scale=0, min_width=180)
            self.findings = gr.Markdown(elem_id="overview-findings")
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {self.counts, self.ratings, self.house, self.serving, self.disk}
        outputs |= self.backup.outputs
        self.refresh = Refresh(at_desk(app, may_see, self.show, silent=True), [], outputs)
        bind = binder(app, may_administer, workspace, {self.findings})
        bind(self.check.click, self.examine, show_progress="full")

    def show(self, desk: Desk) -> Updates:
        """What is cheap to know; health is looked at on a press, since it reads everything."""
        found = overview(desk.db, desk.workspace)
        thumbs = figure(ratings_plot(found.weeks), "ratings", workspace=desk.workspace.id)
        shown: Updates = {
            self.counts: _counts(found),
            self.ratings: thumbs or UNRATED,
        }
        return {**shown, **self._house(desk)} if may_administer(desk.person) else shown

    def _house(self, desk: Desk) -> Updates:
        root = desk.app.datadir.root
        used = [(name, _size(size)) for name, size in disk_use(root).items()]
        free = ("free", _size(shutil.disk_usage(root).free))
        return {
            self.house: gr.update(visible=True),
            self.serving: "## Serving\n\n" + _serving(desk),
            self.disk: "## Disk\n\n" + facts([*used, free]),
            **self.backup.show(desk),
        }

    def examine(self, desk: Desk) -> Updates:
        """Every check of `apprentice doctor`, what is wrong first."""
        from assistant.doctor import findings

        start = time.monotonic()
        found = sorted(findings(desk.app.settings), key=lambda one: [*SIGNS][::-1].index(one.state))
        taken = f"{len(found)} checks in {time.monotonic() - start:.0f} s."
        return {self.findings: f'<p class="note">{taken}</p>{_findings(found)}'}


def _counts(found: Overview) -> str:
    new, public, approved = (
        _at_most(found.feedback[key], COUNTED) for key in ("new", "quarantined", "approved")
    )
    serving = f"adapter {found.serving}" if found.serving else "the base model"
    if found.unproved:
        serving += f". {found.unproved}"
    return facts(
        [
            ("Conversations in 30 days", _at_most(found.conversations, MOST)),
            ("Not answered well in 30 days", f"{found.open_questions} (see Gaps)"),
            ("Feedback to review", f"{new}, and {public} from the public"),
            ("Feedback approved", approved),
            ("Answers come from", serving),
        ]
    )


def _at_most(count: int, most: int) -> str:
    return f"{count}+" if count == most else str(count)


def _serving(desk: Desk) -> str:
    rows = []
    for item in list_workspaces(desk.db):
        serving = serving_adapter(desk.db, item.id)
        rows.append((item.name, item.access, f"adapter {serving.id}" if serving else "the base"))
    return table(("Workspace", "Who may use it", "Answers come from"), rows, empty="")


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"


def _findings(found: "list[Check]") -> str:
    rows = [(SIGNS[one.state], one.check, one.detail, one.remedy) for one in found]
    return table(("State", "What", "Found", "What to do"), rows, empty="")
