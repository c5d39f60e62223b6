"""Rounds: dry run, start, and what goes on; read from rows, so that a reload shows it again."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from sqlite_utils import Database

from assistant.admin.blame import BlameForm
from assistant.admin.bundles import BundlesForm
from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.round_form import RoundForm, wanted
from assistant.admin.rounds_view import history, plan_summary, running
from assistant.admin.schedule import ScheduleForm
from assistant.chat_view import one_line
from assistant.resumption import NOT_RESUMED, goes_on
from assistant.schedule import next_planned
from assistant.security import may_administer
from storage.audit import audit
from storage.errors import Refused
from storage.jobs import job, request_cancel
from storage.pairs import pairs_since_last_round
from storage.records import TuningRound
from storage.rounds import list_rounds, metrics
from tuning.child import LOG

if TYPE_CHECKING:
    from assistant.app import App

WATCH_S = 2.0
SHOWN = 20
"""Finished rounds in the history."""
LOG_LINES = 30
LOG_BYTES = 8192
"""Of the end of a log, in which those lines are looked for."""


class RoundsTab:
    """Plan, progress, history."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        self.form = RoundForm()
        self.fault = fault_place()
        with gr.Row(elem_id="plan-row"):
            self.plan = gr.Button("What would a round do?", size="md", scale=0, min_width=230)
            self.start = gr.Button(
                "Start a round", variant="primary", size="md", scale=0, min_width=160
            )
            self.cancel = gr.Button("Cancel the round", size="md", scale=0, visible=False)
            self.resume = gr.Button("Resume the last round", size="md", scale=0, visible=False)
        self.waiting = gr.Markdown(elem_id="new-pairs")
        self.blame = BlameForm(app)
        self.schedule = ScheduleForm(app, workspace)
        self.bundles = BundlesForm(app, workspace)
        self.summary = gr.Markdown(visible=False, elem_id="plan")
        # all text in it is escaped, and the sanitiser would take the drawing's viewBox away
        self.now = gr.Markdown(sanitize_html=False, visible=False, elem_id="running-round")
        gr.Markdown("## History")
        self.past = gr.Markdown(sanitize_html=False, elem_id="round-history")
        self.seen = gr.State("")
        self.timer = gr.Timer(WATCH_S)
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {
            *(self.plan, self.start, self.cancel, self.resume, self.waiting, self.summary),
            *(self.now, self.past, self.seen),
        } | self.blame.outputs

        bind = binder(app, may_administer, workspace, outputs)
        # counting tokens may take seconds when the model is not in memory yet
        slow = {"show_progress": "full", "show_progress_on": self.waiting}
        handler = at_desk(app, may_administer, self.open, silent=True)
        parts = {self.form.begin} | self.schedule.outputs | self.bundles.outputs
        self.refresh = Refresh(handler, [], outputs | parts)
        bind(self.plan.click, self.plan_it, *self.form.inputs, fault=self.fault, **slow)
        bind(self.start.click, self.start_it, *self.form.inputs, fault=self.fault, **slow)
        blamed = (self.blame.round, self.blame.without)
        bind(self.blame.start.click, self.blame_it, *blamed, fault=self.blame.fault, **slow)
        bind(self.blame.round.input, self.blame.choose, self.blame.round, fault=self.blame.fault)
        bind(self.cancel.click, self.cancel_it)
        bind(self.resume.click, self.resume_it, **slow)
        bind(self.timer.tick, self.watch, self.seen, silent=True)

    def open(self, desk: Desk) -> Updates:
        """The tab as it is opened; what somebody types or chooses is left alone later."""
        parts = (self.form, self.schedule, self.bundles)
        return self.show(desk) | {
            part: new for one in parts for part, new in one.show(desk).items()
        }

    def show(self, desk: Desk) -> Updates:
        """Everything as the rows say."""
        found = list_rounds(desk.db, desk.workspace.id, SHOWN)
        open_round = next((item for item in found if item.finished_at is None), None)
        past = [(item, _measured(desk.db, item)) for item in found if item.finished_at is not None]
        new = pairs_since_last_round(desk.db, desk.workspace.id)
        planned = goes_on(self._app, desk.db, desk.workspace)
        planned = planned or next_planned(desk.db, desk.workspace)
        waiting = f"{new} corrections approved since the last round. {planned}".strip()
        return {
            self.waiting: f'<p class="note">{one_line(waiting)}</p>',
            self.now: self._running(desk, open_round),
            self.past: history(past),
            self.seen: self._mark(desk),
            self.plan: gr.update(visible=open_round is None),
            self.start: gr.update(visible=open_round is None),
            self.cancel: gr.update(visible=open_round is not None),
            self.resume: gr.update(visible=self._resumable(found) is not None),
            self.summary: gr.update(visible=False),
            **self.blame.show(desk, found),
        }

    def watch(self, desk: Desk, seen: str) -> Updates:
        """The rows again, if anything moved since this page last looked."""
        return {} if self._mark(desk) == seen else self.show(desk)

    def plan_it(self, desk: Desk, *asked: Any) -> Updates:
        """The dry run of what the form says."""
        from assistant.advice import dry_run

        plan = dry_run(self._app, desk.workspace, *wanted(*asked))
        return {self.summary: gr.update(value=plan_summary(plan), visible=True)}

    def start_it(self, desk: Desk, *asked: Any) -> Updates:
        """Start; from here on everybody's page follows the rows."""
        from assistant.rounds import start_round

        dials, start = wanted(*asked)
        started = start_round(
            self._app, desk.workspace, dials=dials, start=start, actor=desk.person.owner
        )
        audit(desk.db, desk.person.owner, "round started", f"round:{started.id}")
        return self.show(desk)

    def blame_it(self, desk: Desk, chosen: int | None, contributor: str | None) -> Updates:
        """Train a refused round again without some rows; pages follow it as any other round."""
        self.blame.begin(desk, chosen, contributor)
        return self.show(desk)

    def cancel_it(self, desk: Desk) -> Updates:
        """Ask the running round to stop; it does so at its next step."""
        open_round = _open_round(desk)
        if open_round is None:
            raise Refused("No round is running in this workspace.")
        request_cancel(desk.db, open_round.job_id)
        audit(desk.db, desk.person.owner, "round cancelled", f"round:{open_round.id}")
        return self.show(desk)

    def resume_it(self, desk: Desk) -> Updates:
        """Go on with the newest round, if it failed or was cancelled and can go on."""
        from assistant.rounds import resume_round

        known = self._resumable(list_rounds(desk.db, desk.workspace.id, 1))
        if known is None:
            raise Refused("The last round of this workspace cannot be resumed: start a new one.")
        resume_round(self._app, known.id, actor=desk.person.owner)
        return self.show(desk)

    def _resumable(self, newest_first: list[TuningRound]) -> TuningRound | None:
        """The newest round if it trained for itself and broke off after its bundle was written."""
        for item in newest_first[:1]:
            if NOT_RESUMED.keys() & item.config.keys():
                continue
            bundle = self._app.datadir.rounds / str(item.id) / "bundle"
            if item.state in ("failed", "cancelled") and bundle.is_dir():
                return item
        return None

    def _running(self, desk: Desk, item: TuningRound | None) -> Any:
        if item is None:
            return gr.update(value="", visible=False)
        log = _end_of(self._app.datadir.rounds / str(item.id) / "out" / LOG)
        said = running(item, job(desk.db, item.job_id), _measured(desk.db, item), log)
        return gr.update(value=said, visible=True)

    def _mark(self, desk: Desk) -> str:
        """Changes whenever something that is shown does, but for the plan."""
        found = list_rounds(desk.db, desk.workspace.id, 1)
        if not found:
            return f"{desk.workspace.id}"
        state = job(desk.db, found[0].job_id)
        return f"{desk.workspace.id} {found[0].id} {state}"


def _open_round(desk: Desk) -> TuningRound | None:
    found = list_rounds(desk.db, desk.workspace.id, SHOWN)
    return next((item for item in found if item.finished_at is None), None)


def _measured(db: Database, item: TuningRound) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for step, name, value in metrics(db, item.id):
        found.setdefault(name, []).append((step, value))
    return found


def _end_of(log: Path) -> str:
    """The last lines of a file; '' where there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-LOG_LINES:])
    except FileNotFoundError:
        return ""
