"""Several rows of the queue decided at once: what needs no second look."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder, chosen_feedback, fault_place
from assistant.admin.feedback_view import label
from assistant.admin.second import may_say_yes, would_count
from assistant.chat_view import one_line
from assistant.review import Reviews
from assistant.security import may_review
from assistant.suspicion import flags
from storage.errors import BadInput
from storage.feedback import reject, wanted
from storage.records import Feedback
from storage.seen import Changed, mark_of

if TYPE_CHECKING:
    from assistant.app import App

Marks = dict[int, str] | None
"""By row, what it was when the page was shown; see `storage.seen`."""


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
        self.marks = gr.State({})
        self.outputs = {self.whole, self.ticked, self.said, self.marks}

    def wire(
        self,
        workspace: gr.Dropdown,
        status: gr.Radio,
        sought: Sequence[Any],
        outputs: set[object],
    ) -> None:
        """Its two buttons, which change the whole tab; `sought` is what the list is filtered by."""
        bind = binder(self._app, may_review, workspace, outputs)
        ticked = [status, self.ticked, self.marks, *sought]
        bind(self.approve.click, self.approve_them, *ticked, fault=self.fault)
        bind(self.reject.click, self.reject_them, *ticked, fault=self.fault)

    def show(self, desk: Desk, page: Sequence[Feedback]) -> Updates:
        """Nothing ticked."""
        choices = [(label(item), item.id) for item in page]
        return {
            self.whole: gr.update(visible=may_review(desk.person)),
            self.ticked: gr.update(choices=choices, value=[]),
            self.said: "",
            self.marks: {item.id: mark_of(item) for item in page},
        }

    def approve_them(
        self,
        desk: Desk,
        status: str,
        ticked: list[int] | None,
        marks: Marks = None,
        *sought: str | None,
    ) -> Updates:
        """Approve each as it was written; one that a reviewer should look at first is left.

        So is one that somebody else decided on since the page was shown (`marks`).
        """
        reviews = Reviews(self._app, desk.db, desk.workspace)
        left, done, odd = [], [], flags(desk.db, desk.workspace)
        for item in _ticked(desk, ticked):
            if (
                why := _mine(desk, item)
                or _open(item, reviews)
                or "".join(odd.get(item.id, ())[:1])
            ):
                left.append(f"#{item.id} {why}")
                continue
            try:
                now, _ = reviews.approve(
                    item,
                    reviewer=desk.person.owner,
                    correction=item.approved_correction,
                    seen=(marks or {}).get(item.id),
                )
                done.append(now.status)
            except Changed as changed:
                left.append(f"#{item.id}: {changed}")
        reviews.close()
        said = f"{done.count('approved')} approved."
        if waits := len(done) - done.count("approved"):
            said += f" {waits} got your yes and wait for a second reviewer."
        return {**self._listing(desk, status, *sought), self.said: _said(said, left)}

    def reject_them(
        self,
        desk: Desk,
        status: str,
        ticked: list[int] | None,
        marks: Marks = None,
        *sought: str | None,
    ) -> Updates:
        """Reject each; one that was approved before is served no more."""
        left, done = [], 0
        for item in _ticked(desk, ticked):
            seen = (marks or {}).get(item.id)
            try:
                reject(desk.db, item.id, reviewer=desk.person.owner, seen=seen)
                done += 1
            except Changed as changed:
                left.append(f"#{item.id}: {changed}")
        said = _said(f"{done} rejected.", left)
        return {**self._listing(desk, status, *sought), self.said: said}


def _ticked(desk: Desk, ticked: list[int] | None) -> list[Feedback]:
    if not ticked:
        raise BadInput("Tick the rows first.")
    return [chosen_feedback(desk, id) for id in ticked]


def _mine(desk: Desk, item: Feedback) -> str:
    """Why a yes of this person would not count; '' where it would."""
    if not may_say_yes(desk, item):
        return "is your own: two other reviewers have to say yes."
    if not would_count(desk, item):
        return "has your yes and waits for a second reviewer."
    return ""


def _open(item: Feedback, reviews: Reviews) -> str:
    """Why somebody should look at it alone first; '' for nothing."""
    if wanted(item) is None and item.rating is None:
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
