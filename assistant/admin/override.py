"""Whether an approved correction answers its question at once, and stopping that."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, chosen_feedback
from assistant.chat_view import one_line
from assistant.overriding import whether_it_answers
from assistant.security import may_review
from storage.errors import NotFound
from storage.overrides import override_of, retire
from storage.records import Feedback

if TYPE_CHECKING:
    from assistant.app import App


class OverrideForm:
    """Of the row that is chosen in `rows`: its state, and a button."""

    def __init__(self, app: "App", workspace: gr.Dropdown, rows: gr.Radio) -> None:
        with gr.Row(visible=False, elem_id="override") as self.whole:
            self.state = gr.Markdown()
            self.stop = gr.Button("Stop it", size="md", scale=0, min_width=100)
        self.outputs = {self.whole, self.state, self.stop}
        bind = binder(app, may_review, workspace, self.outputs)
        bind(self.stop.click, self.stop_it, rows)

    def show(self, desk: Desk, item: Feedback | None) -> Updates:
        """The override of an approved correction; nothing for anything else."""
        found = override_of(desk.db, item.id) if item and item.status == "approved" else None
        if found is None:
            return {self.whole: gr.update(visible=False)}
        said = whether_it_answers(desk.db, found)
        return {
            self.whole: gr.update(visible=True),
            self.state: f'<p class="note">Answers at once: {one_line(said)}.</p>',
            self.stop: gr.update(visible=found.status == "active" and may_review(desk.person)),
        }

    def stop_it(self, desk: Desk, row: int | None) -> Updates:
        """It stays approved and is taught, but no longer answers before that."""
        item = chosen_feedback(desk, row)
        found = override_of(desk.db, item.id)
        if found is None:
            raise NotFound("This correction does not answer at once.")
        retire(desk.db, found.id, actor=desk.person.owner)
        return self.show(desk, item)
