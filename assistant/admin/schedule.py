"""When rounds of the workspace start by themselves, where they train, with which dials."""

import json
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, fault_place
from assistant.runners import runner_as_known
from assistant.schedule import next_planned
from assistant.security import may_administer
from storage.database import write_transaction
from storage.workspaces import set_workspace, workspace_by_id
from tuning.runners.registry import NAMES

if TYPE_CHECKING:
    from assistant.app import App

AS_SET = "as the server is set"


class ScheduleForm:
    """Settings of the workspace, with what follows from them."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        with gr.Accordion("Schedule and dials", open=False, elem_id="schedule"):
            with gr.Row():
                self.schedule = gr.Textbox(
                    label="Start by itself",
                    info='A crontab line, or "every 20" approved corrections',
                    placeholder="0 2 * * 1-5",  # not in the info, which takes stars for Markdown
                    min_width=240,
                )
                self.hours = gr.Textbox(
                    label="Only in these hours", info='such as "22-6"', min_width=200
                )
                self.minutes = gr.Number(
                    label="Minutes a round may train", info="0: as the server is set", minimum=0
                )
                self.runner = gr.Dropdown(
                    [(AS_SET, ""), *NAMES],
                    label="Where a round trains",
                    info="elsewhere: what people wrote goes there",
                    min_width=200,
                )
            with gr.Row(elem_id="dials-row"):
                self.dials = gr.Textbox(
                    label="Dials of every round",
                    info="KEY=VALUE, apart by spaces, such as rank=8 wordings=0",
                    max_lines=1,
                    min_width=300,
                )
                self.save = gr.Button("Save", size="md", scale=0, min_width=100)
            self.fault = fault_place()
            self.said = gr.Markdown(elem_id="schedule-said")
        inputs = [self.schedule, self.hours, self.minutes, self.runner, self.dials]
        self.outputs = {*inputs, self.said}
        bind = binder(app, may_administer, workspace, self.outputs)
        bind(self.save.click, self.save_it, *inputs, fault=self.fault)

    def show(self, desk: Desk) -> Updates:
        """The settings as they are."""
        settings = workspace_by_id(desk.db, desk.workspace.id).settings
        return {
            self.schedule: settings.schedule,
            self.hours: settings.idle_hours,
            self.minutes: settings.round_minutes,
            self.runner: settings.runner,
            self.dials: " ".join(f"{name}={value}" for name, value in settings.dials.items()),
            self.said: "",
        }

    def save_it(
        self,
        desk: Desk,
        schedule: str | None,
        hours: str | None,
        minutes: float | None,
        runner: str | None,
        dials: str | None,
    ) -> Updates:
        """Set all of them or none; what cannot be is said."""
        from assistant.commands.tune import dials_of
        from assistant.dials import dials_as_declared

        typed = dials_of(None, (dials or "").split())
        values = {
            "schedule": schedule,
            "idle_hours": hours,
            "round_minutes": minutes or 0,
            "runner": runner_as_known(runner or ""),
            "dials": dials_as_declared(json.dumps(typed)),
        }
        with write_transaction(desk.db):
            for key, value in values.items():
                text = "" if value is None else str(value)
                set_workspace(desk.db, desk.workspace.name, key, text, actor=desk.person.owner)
        saved = workspace_by_id(desk.db, desk.workspace.id)
        planned = next_planned(desk.db, saved) or "No round starts by itself."
        return {**self.show(desk), self.said: f"Saved. {planned}"}
