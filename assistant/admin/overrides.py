"""The corrections that answer at once, and stopping one of them."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.tables import table
from assistant.overriding import whether_it_answers
from assistant.security import may_review, may_see
from storage.errors import NotFound
from storage.overrides import list_overrides, override, retire

if TYPE_CHECKING:
    from assistant.app import App

PAGE = 50
LABEL = 80
"""Characters of a question in the list to choose from."""
HEAD = ("No.", "Question", "Answer", "Does it answer?")


class OverridesTab:
    """The active ones of the workspace, the newest first."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        gr.Markdown(
            "An approved correction answers the same question at once, until an adapter has "
            "learned it. One that is stopped here is still taught."
        )
        with gr.Row(elem_id="override-row", visible=False) as self.stopping:
            self.chosen = gr.Dropdown([], label="Stop one of them", elem_id="override-chosen")
            self.stop = gr.Button("Stop it", size="md", scale=0, min_width=120)
        self.fault = fault_place()
        self.listed = gr.Markdown(elem_id="overrides")
        self.before = gr.State(None)
        with gr.Row():
            self.newest = gr.Button("Newest", size="sm", visible=False)
            self.older = gr.Button("Older", size="sm", visible=False)
        outputs = {self.listed, self.before, self.newest, self.older, self.stopping, self.chosen}
        self.refresh = Refresh(at_desk(app, may_see, self.show, silent=True), [], outputs)
        look = binder(app, may_see, workspace, outputs)
        look(self.newest.click, self.show)
        look(self.older.click, self.show, self.before)
        bind = binder(app, may_review, workspace, outputs)
        bind(self.stop.click, self.stop_it, self.chosen, fault=self.fault)

    def show(self, desk: Desk, before: int | None = None) -> Updates:
        """A page of them: those before the id `before`, or the newest."""
        found = list_overrides(desk.db, desk.workspace.id, limit=PAGE + 1, before=before)
        page = found[:PAGE]
        rows = [
            (one.id, one.question, one.answer, whether_it_answers(desk.db, one)) for one in page
        ]
        return {
            self.listed: table(HEAD, rows, empty="No correction answers at once."),
            self.stopping: gr.update(visible=bool(page) and may_review(desk.person)),
            self.chosen: gr.update(
                choices=[(f"{one.id} · {one.question[:LABEL]}", one.id) for one in page],
                value=None,
            ),
            self.before: page[-1].id if page else None,
            self.newest: gr.update(visible=before is not None),
            self.older: gr.update(visible=len(found) > PAGE),
        }

    def stop_it(self, desk: Desk, chosen: int | None) -> Updates:
        """It stays approved and is taught, but no longer answers before that."""
        if not isinstance(chosen, int):
            raise NotFound("Choose one of the list first.")
        if override(desk.db, chosen).workspace_id != desk.workspace.id:
            raise NotFound("There is no such correction in this workspace.")
        retire(desk.db, chosen, actor=desk.person.owner)
        return self.show(desk)
