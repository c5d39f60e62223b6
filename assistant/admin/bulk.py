"""Several rows of the queue decided at once: what needs no second look."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, chosen_feedback, fault_place
from assistant.admin.feedback_view import label
from assistant.chat_view import one_line
from assistant.review import Reviews
from assistant.security import may_review
from assistant.suspicion import flags
from storage.errors import BadInput
from storage.feedback import reject
from storage.records import Feedback

if TYPE_CHECKING:
    from assistant.app import App


class BulkForm:
    """The rows of the page that is shown, to be ticked; `listing` shows the queue afterwards."""

    def __init__(self, app: "App", listing: Callable[..., Updates]) -> None:
        self._app, self._listing = app, listing
        with gr.Accordion(
            "Several at once", open=False, elem_id="bulk", visible=False
        ) as self.whole:
            self.ticked = gr.CheckboxGroup(
                [], show_label=False, container=False, show_select_all=True, elem_id="ticked"
            )
            with gr.Row():
                self.approve = gr.Button("Approve them", size="sm", variant="primary")
                self.reject = gr.Button("Reject them", size="sm")
            self.fault = fault_place()
        self.said = gr.Markdown(elem_id="bulk-said")
        self.outputs = {self.whole, self.ticked, self.said}

    def wire(
        self,
        workspace: gr.Dropdown,
        status: gr.Radio,
        sought: Sequence[Any],
        outputs: set[object],
    ) -> None:
        """Its two buttons, which change the whole tab; `sought` is what the list is filtered by."""
        bind = binder(self._app, may_review, workspace, outputs)
        ticked = [status, self.ticked, *sought]
        bind(self.approve.click, self.approve_them, *ticked, fault=self.fault)
        bind(self.reject.click, self.reject_them, *ticked, fault=self.fault)

    def show(self, desk: Desk, page: Sequence[Feedback]) -> Updates:
        """Nothing ticked."""
        choices = [(label(item), item.id) for item in page]
        return {
            self.whole: gr.update(visible=may_review(desk.person)),
            self.ticked: gr.update(choices=choices, value=[]),
            self.said: "",
        }

    def approve_them(
        self, desk: Desk, status: str, ticked: list[int] | None, *sought: str | None
    ) -> Updates:
        """Approve each as it was written; one that a reviewer should look at first is left."""
        reviews = Reviews(self._app, desk.db, desk.workspace)
        left, done, odd = [], 0, flags(desk.db, desk.workspace)
        for item in _ticked(desk, ticked):
            if why := _open(item, reviews) or "".join(odd.get(item.id, ())[:1]):
                left.append(f"#{item.id} {why}")
                continue
            text = item.approved_correction
            reviews.approve(item, reviewer=desk.person.owner, correction=text)
            done += 1
        reviews.close()
        return {**self._listing(desk, status, *sought), self.said: _said(f"{done} approved.", left)}

    def reject_them(
        self, desk: Desk, status: str, ticked: list[int] | None, *sought: str | None
    ) -> Updates:
        """Reject each; one that was approved before is served no more."""
        items = _ticked(desk, ticked)
        for item in items:
            reject(desk.db, item.id, reviewer=desk.person.owner)
        said = _said(f"{len(items)} rejected.", [])
        return {**self._listing(desk, status, *sought), self.said: said}


def _ticked(desk: Desk, ticked: list[int] | None) -> list[Feedback]:
    if not ticked:
        raise BadInput("Tick the rows first.")
    return [chosen_feedback(desk, id) for id in ticked]


def _open(item: Feedback, reviews: Reviews) -> str:
    """Why somebody should look at it alone first; '' for nothing."""
    if item.correction is None and item.rating is None:
        return "says nothing to learn."
    review = reviews.look(item, item.approved_correction)
    if review.never:
        return f"cannot be approved: {review.never}."
    if review.fault:
        return f"fails its {review.check} check."
    return review.warnings[0] if review.otherwise or review.pages else ""


def _said(done: str, left: Sequence[str]) -> str:
    told = "".join(f"<li>{one_line(one)}</li>" for one in left)
    rest = f"<p>Left, to be looked at one by one:</p><ul>{told}</ul>" if left else ""
    return f'<p class="note">{one_line(done)}</p>{rest}'
