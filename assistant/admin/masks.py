"""What of a row a round would learn a placeholder for, and freeing it."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, alert, binder, chosen_feedback, fault_place
from assistant.masks import Masks, free_values
from assistant.security import may_review
from storage.conversations import message
from storage.errors import BadInput
from storage.records import Feedback
from storage.unmasked import freed_in, mask_again

if TYPE_CHECKING:
    from assistant.app import App

SHORT = 60
"""Characters of a value that are shown; a private key has thousands."""
MANY = 20
"""Values listed of one row; the button for the row frees them all."""


class MaskForm:
    """Of the row that is chosen in `rows`: a tick for each value, and two buttons."""

    def __init__(self, app: "App", workspace: gr.Dropdown, rows: gr.Radio) -> None:
        with gr.Column(visible=False, elem_id="masks") as self.whole:
            self.values = gr.CheckboxGroup(
                [],
                label="Masked in what is taught",
                info="The row stays as it is written; a round learns a placeholder.",
            )
            self.fault = fault_place()
            self.said = gr.Markdown()
            with gr.Row() as self.buttons:
                self.free = gr.Button("Teach what is ticked", size="md")
                self.free_row = gr.Button("Teach the row as written", size="md")
                self.again = gr.Button("Mask it again", size="md")
        self.outputs = {self.whole, self.values, self.fault, self.said, self.buttons}
        self.outputs |= {self.free, self.free_row, self.again}
        bind = binder(app, may_review, workspace, self.outputs)
        bind(self.free.click, self.free_ticked, rows, self.values, fault=self.fault)
        bind(self.free_row.click, self.free_all, rows, fault=self.fault)
        bind(self.again.click, self.mask_it, rows, fault=self.fault)

    def show(self, desk: Desk, item: Feedback | None, *, learned: bool = True) -> Updates:
        """What is masked now and whether something was freed; nothing where there is neither."""
        if item is None or not learned or not desk.workspace.settings.mask:
            return {self.whole: gr.update(visible=False)}
        inputs = message(desk.db, item.message_id).inputs
        hidden = Masks(desk.db, desk.workspace).hidden(item, inputs)
        row, count = freed_in(desk.db, item.id)
        decides = may_review(desk.person)
        return {
            self.whole: gr.update(visible=bool(hidden or row or count)),
            self.fault: alert(""),  # what was said of another row
            self.values: gr.update(
                choices=[(f"{one.kind}: {_short(one.text)}", one.hash) for one in hidden[:MANY]],
                value=[],
                visible=bool(hidden),
                interactive=decides,
            ),
            self.said: gr.update(value=_freed(row, count), visible=bool(row or count)),
            self.buttons: gr.update(visible=decides),
            self.free: gr.update(visible=bool(hidden)),
            self.free_row: gr.update(visible=bool(hidden)),
            self.again: gr.update(visible=bool(row or count)),
        }

    def free_ticked(self, desk: Desk, row: int | None, ticked: list[str] | None) -> Updates:
        """These values, in every row of the workspace."""
        item = chosen_feedback(desk, row)
        if not ticked:
            raise BadInput("Tick what may be taught, or teach the row as written.")
        inputs = message(desk.db, item.message_id).inputs
        texts = {one.hash: one.text for one in Masks(desk.db, desk.workspace).hidden(item, inputs)}
        wanted = [texts.get(hash, "") for hash in ticked]
        free_values(desk.db, desk.workspace, item, wanted, reviewer=desk.person.owner)
        return self.show(desk, item)

    def free_all(self, desk: Desk, row: int | None) -> Updates:
        """This row, whatever it holds."""
        item = chosen_feedback(desk, row)
        free_values(desk.db, desk.workspace, item, (), reviewer=desk.person.owner)
        return self.show(desk, item)

    def mask_it(self, desk: Desk, row: int | None) -> Updates:
        """Nothing of this row is free any more."""
        item = chosen_feedback(desk, row)
        mask_again(desk.db, item.id, reviewer=desk.person.owner)
        return self.show(desk, item)


def _freed(row: bool, count: int) -> str:
    if row:
        return '<p class="note">A reviewer lets rounds learn this row as it is written.</p>'
    values = "1 value" if count == 1 else f"{count} values"
    return f'<p class="note">A reviewer lets rounds learn {values} of this row.</p>'


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
