"""An adapter from elsewhere, uploaded as a zip: taken in at once, then judged as a job."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from sqlite_utils import Database

from assistant.admin.desk import Desk, Updates, fault_place
from assistant.admin.tables import job_state
from assistant.background import beat, in_background, last_job
from assistant.uploaded_zip import unpacked
from storage import jobs
from storage.records import Adapter, Job, TuningRound
from storage.rounds import refuse_second
from tuning.adapter_files import CONFIG

if TYPE_CHECKING:
    from assistant.app import App

KIND = "adapter import"


class AdapterUpload:
    """The way in, and what the gate said of the last one."""

    def __init__(self, app: "App") -> None:
        self._app = app
        with gr.Accordion("Import an adapter", open=False, elem_id="adapter-import"):
            self.file = gr.File(
                label="A zip of its folder, up to 64 MB",
                file_types=[".zip"],
                height=120,
                elem_id="adapter-upload",
            )
            self.fault = fault_place()
        self.state = gr.Markdown(elem_id="adapter-import-state")
        self.outputs = {self.file, self.state}

    def show(self, desk: Desk) -> Updates:
        """How far the last one is."""
        return {self.state: self.said(desk)}

    def said(self, desk: Desk) -> str:
        """The last import in words, as HTML; '' when there was none."""
        job = last_import(desk.db, desk.workspace.id)
        return job_state(job, "Last import") if job else ""

    def take_in(self, desk: Desk, file: str | None) -> Updates:
        """Into the workspace as a candidate; the judging goes on in the background."""
        from assistant.adapter_import import import_adapter

        if not file:
            return {}
        path, actor = Path(file), desk.person.owner
        try:
            refuse_second(desk.db, desk.workspace.id)
            with unpacked(path, CONFIG, within=self._app.datadir.adapters) as folder:
                name = desk.workspace.name
                made = import_adapter(self._app, folder, workspace=name, actor=actor)
        finally:
            path.unlink(missing_ok=True)
        start_judging(self._app, made, actor=actor)
        return {**self.show(desk), self.file: None}


def start_judging(app: "App", made: Adapter, *, actor: str) -> Job:
    """Queue the judging of an adapter that was just taken in and begin it in a thread."""

    def work(db: Database, queued: Job) -> None:
        from assistant.import_judging import judge_import

        beat(db, queued, 0.0, f"adapter {made.id}: reading what it is judged by")
        judged = judge_import(
            app,
            made,
            actor=actor,
            say=lambda share, note: beat(db, queued, share, f"adapter {made.id}: {note}"),
        )
        jobs.beat(db, queued.id, 1.0, _judged(made, judged))

    return in_background(app, KIND, made.workspace_id, work)


def last_import(db: Database, workspace_id: int) -> Job | None:
    """The newest import of an adapter into the workspace, running or not."""
    return last_job(db, workspace_id, KIND)


def _judged(made: Adapter, judged: TuningRound | None) -> str:
    from assistant.import_judging import NOTHING

    verdict = judged.verdict if judged else "not enough evidence"
    reasons = " ".join(judged.reasons if judged else [NOTHING])
    return f"adapter {made.id} is here. The gate said {verdict}. {reasons}"
