"""Why the reply was wrong, ticked by the reviewer; and the same reasons to filter the queue by."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, chosen_feedback
from assistant.chat_words import ENGLISH
from assistant.feedback_reasons import REASONS, known_reasons
from assistant.security import may_review
from storage.records import Feedback
from storage.review_reasons import set_review_reasons

if TYPE_CHECKING:
    from assistant.app import App

TEXTS = [ENGLISH(reason) for reason in REASONS]


def reason_filter() -> gr.Dropdown:
    """Feedback that a contributor or a reviewer gave one reason for."""
    choices = [("Any reason", ""), *((text, text) for text in TEXTS)]
    return gr.Dropdown(choices, value="", label="Why", elem_id="queue-why")


class ReasonsForm:
    """Of the row that is chosen in `rows`; a tick is saved at once."""

    def __init__(self, app: "App", workspace: gr.Dropdown, rows: gr.Radio) -> None:
        self.ticked = gr.CheckboxGroup(
            TEXTS, label="What was wrong, as you see it", visible=False, elem_id="review-reasons"
        )
        self.outputs = {self.ticked}
        bind = binder(app, may_review, workspace, self.outputs)
        bind(self.ticked.input, self.set_them, rows, self.ticked)

    def show(self, desk: Desk, item: Feedback | None) -> Updates:
        """Those that a reviewer ticked before."""
        ticked = known_reasons(item.review_reasons) if item else []
        free = may_review(desk.person)
        return {
            self.ticked: gr.update(
                value=ticked, visible=item is not None and (free or bool(ticked)), interactive=free
            )
        }

    def set_them(self, desk: Desk, row: int | None, ticked: list[str] | None) -> Updates:
        """What is ticked now, instead of what was."""
        item = chosen_feedback(desk, row)
        reasons = known_reasons(ticked or ())
        return self.show(
            desk, set_review_reasons(desk.db, item.id, reasons, reviewer=desk.person.owner)
        )
