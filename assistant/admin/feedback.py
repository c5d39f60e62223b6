"""The review queue: what people wanted instead, approved, edited or rejected by a reviewer."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.bulk import BulkForm
from assistant.admin.desk import (
    Desk,
    Refresh,
    Updates,
    alert,
    at_desk,
    binder,
    chosen_feedback,
    fault_place,
)
from assistant.admin.feedback_view import detail, notes
from assistant.admin.lookers import Lookers
from assistant.admin.masks import MaskForm
from assistant.admin.names import contributor_name
from assistant.admin.override import OverrideForm
from assistant.admin.paraphrases import ParaphraseForm
from assistant.admin.queue_filters import FLAGGED, STALE
from assistant.admin.queue_list import Listed, QueueList, listed_and_seen, page_of, waiting
from assistant.admin.reasons import ReasonsForm
from assistant.admin.second import SecondForm, may_say_yes, says_something, would_count
from assistant.admin.tables import LOADING
from assistant.review import Reviews
from assistant.security import may_review, may_see
from assistant.suspicion import flags
from storage.conversations import message
from storage.database import write_transaction
from storage.drafted_questions import may_reword
from storage.feedback import default_group, duplicates_of, feedback, reject, wanted
from storage.first_yes import retract
from storage.pairs import pair_groups
from storage.records import Feedback
from storage.seen import Changed, mark_of, refuse_changed, reviewer_name
from storage.sites import site_name
from storage.stale import keep, stale_feedback, stale_passages

if TYPE_CHECKING:
    from assistant.app import App


class FeedbackTab:
    """The queue on the left, one row of it on the right."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app, self._lookers = app, Lookers()
        self.seen = gr.State(None)  # the mark of the row that is shown
        with gr.Row(elem_id="queue"):
            with gr.Column(scale=2, min_width=280):
                self.list = QueueList()
                self.rows = self.list.rows
                self.bulk = BulkForm(app, self.first_page)
            with gr.Column(scale=5, min_width=320):
                self._lay_out_row()
                self.masks = MaskForm(app, workspace, self.rows)
                self.reasons = ReasonsForm(app, workspace, self.rows)
                self.override = OverrideForm(app, workspace, self.rows)
                self.paraphrases = ParaphraseForm(app, workspace, self.rows)
        self._wire(app, workspace)

    def _lay_out_row(self) -> None:
        self.shown = gr.Markdown(LOADING, elem_id="feedback-detail")
        self.told = gr.Markdown(elem_id="feedback-notes")
        self.second = SecondForm()
        self.need = gr.Dropdown(
            [],
            label="Need",
            info="What asks for the same thing shares one need. Type a new one if none fits.",
            allow_custom_value=True,
            visible=False,
            elem_id="need",
        )
        self.reason = gr.Textbox(
            label="Why teach it although its check fails", visible=False, elem_id="despite-check"
        )
        with gr.Row(visible=False) as self.actions:
            self.approve = gr.Button(
                "Approve", variant="primary", size="md", elem_id="queue-approve"
            )
            self.keep = gr.Button("Keep", variant="primary", size="md", visible=False)
            self.edit = gr.Button("Edit and approve", size="md", elem_id="queue-edit")
            self.reject = gr.Button("Reject", size="md", elem_id="queue-reject")
        with gr.Column(visible=False) as self.editor:
            self.request = gr.Textbox(
                label="The request that it answers, as it was drafted",
                lines=2,
                max_lines=8,
                visible=False,
                elem_id="approved-question",
            )
            self.text = gr.Textbox(
                label="The answer to be learned", lines=6, max_lines=20, elem_id="approved-text"
            )
            with gr.Row():
                self.save = gr.Button("Approve this text", variant="primary", size="md")
                self.drop = gr.Button("Do not edit", size="md")
        self.fault = fault_place()

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        queue = self.list
        outputs = {
            *queue.outputs,
            *(self.shown, self.told, self.need, self.reason),
            *(self.actions, self.approve, self.keep, self.edit, self.reject),
            *(self.editor, self.text, self.request, self.seen, self.fault),
            *self.second.outputs,
            *self.masks.outputs,
            *self.reasons.outputs,
            *self.override.outputs,
            *self.paraphrases.outputs,
            *self.bulk.outputs,
        }

        sought = queue.sought
        self.bulk.wire(workspace, queue.status, sought, outputs)
        listed = [queue.status, queue.before, self.rows, *sought]
        self.refresh = Refresh(at_desk(app, may_see, self.show, silent=True), listed, outputs)
        look = binder(app, may_see, workspace, outputs)
        narrowed = (queue.status.input, queue.why.input, queue.site.input, queue.words.submit)
        for first in (*narrowed, queue.newest.click):
            look(first, self.first_page, queue.status, *sought, fault=self.fault)
        look(queue.older.click, self.next_page, queue.status, queue.before, *sought)
        looked = [queue.status, queue.looked_to, *sought]
        look(queue.further.click, self.look_further, *looked, show_progress="full")
        look(self.rows.input, self.show, *listed, fault=self.fault)
        bind = binder(app, may_review, workspace, outputs)
        decided, fault = [*listed[:3], self.need, self.reason], self.fault
        edited = [*decided, self.text, self.request, *sought, self.seen]
        bind(self.approve.click, self.approve_it, *decided, *sought, self.seen, fault=fault)
        bind(self.keep.click, self.keep_it, *listed, self.seen, fault=fault)
        bind(self.second.back.click, self.take_back, *listed, fault=fault)
        bind(self.edit.click, self.open_editor, self.rows, fault=fault)
        bind(self.drop.click, self.close_editor, fault=fault)
        bind(self.save.click, self.approve_edited, *edited, fault=fault)
        bind(self.reject.click, self.reject_it, *listed, self.seen, fault=fault)

    # ---- what is shown

    def show(
        self,
        desk: Desk,
        status: str,
        before: int | None,
        chosen: int | None = None,
        *sought: str | None,
    ) -> Updates:
        """One page of the list, and of it the chosen row or the first."""
        return self._show(desk, Listed(status, before, *sought), chosen)

    def _show(self, desk: Desk, listed: Listed, chosen: int | None = None) -> Updates:
        stale = stale_feedback(desk.db, desk.workspace.id)
        odd = flags(desk.db, desk.workspace)
        page = page_of(desk, listed, odd if listed.status == FLAGGED else stale)
        apart = {STALE: len(stale), FLAGGED: len(odd), **waiting(desk)}
        ids = [item.id for item in page.items]
        chosen = chosen if chosen in ids else (ids[0] if ids else None)
        return {
            **self.list.show(desk, listed, page, chosen, apart),
            **self._row(desk, chosen, odd.get(chosen or 0, ()), stale=listed.status == STALE),
            **self.bulk.show(desk, page.items),
        }

    def first_page(self, desk: Desk, status: str, *sought: str | None) -> Updates:
        """The newest of one status."""
        return self._show(desk, Listed(status, None, *sought))

    def next_page(
        self, desk: Desk, status: str, before: int | None, *sought: str | None
    ) -> Updates:
        """The page after the one that is shown."""
        listed = Listed(status, before, *sought)
        items = page_of(desk, listed).items
        return self._show(desk, listed._replace(before=items[-1].id if items else before))

    def look_further(
        self, desk: Desk, status: str, looked_to: int | None, *sought: str | None
    ) -> Updates:
        """The page with the next row that has the words, before the id `looked_to`."""
        listed, said = self.list.look_further(desk, Listed(status, None, *sought), looked_to)
        return self._show(desk, listed) if listed else said

    def _row(
        self, desk: Desk, chosen: int | None, odd: Sequence[str] = (), *, stale: bool
    ) -> Updates:
        if chosen is None:
            nothing = {self.shown: "Nothing here.", self.told: "", self.seen: None}
            return {
                **nothing,
                **self._closed(visible=False),
                **self.second.show(desk, None),
                **self.masks.show(desk, None),
                **self.reasons.show(desk, None),
                **self.override.show(desk, None),
                **self.paraphrases.show(desk, None),
            }
        item = chosen_feedback(desk, chosen)
        review = Reviews(self._app, desk.db, desk.workspace).look(item)
        said = detail(
            item,
            contributor_name(desk.db, item.contributor),
            # what is never learned holds words of a file that was not given to reviewers
            None if review.never else message(desk.db, item.message_id).inputs,
            duplicates_of(desk.db, chosen),
            site_name(desk.db, item.site),
        )
        others = self._lookers.look(desk.person.owner, chosen)
        needs = pair_groups(desk.db, desk.workspace.id)
        unnamed = item.status != "approved" and item.group == default_group(item.question)
        return {
            self.shown: said,
            self.told: notes(review, stale_passages(desk.db, desk.workspace.id, item.id), odd),
            self.seen: mark_of(item),
            **self._closed(visible=may_review(desk.person)),
            **self.second.show(desk, item, [reviewer_name(desk.db, who) for who in others]),
            **self.masks.show(desk, item, learned=not review.never),
            **self.reasons.show(desk, item),
            **self.override.show(desk, item),
            **self.paraphrases.show(desk, item),
            self.reason: gr.update(
                visible=review.fault is not None and may_review(desk.person), value=""
            ),
            self.approve: gr.update(
                visible=not (stale or review.never)
                and says_something(item)
                and would_count(desk, item)
            ),
            self.edit: gr.update(visible=not review.never and may_say_yes(desk, item)),
            self.keep: gr.update(visible=stale),
            self.reject: gr.update(value="Drop" if stale else "Reject"),
            self.need: gr.update(
                choices=needs,
                value=(review.group if unnamed else None) or item.group,
                interactive=may_review(desk.person),
                visible=True,
            ),
        }

    def _closed(self, *, visible: bool) -> Updates:
        return {
            self.need: gr.update(visible=visible),
            self.reason: gr.update(visible=False, value=""),
            self.actions: gr.update(visible=visible),
            self.editor: gr.update(visible=False),
            self.text: gr.update(value=""),
            self.request: gr.update(value="", visible=False),
        }

    # ---- what is decided

    def approve_it(
        self,
        desk: Desk,
        status: str,
        before: int | None,
        chosen: int,
        need: str,
        reason: str,
        *rest: str | None,
    ) -> Updates:
        """Yes, as the contributor wrote it (or as somebody said yes to it before)."""
        item = chosen_feedback(desk, chosen)
        listed, seen = listed_and_seen(status, before, rest)
        return self._approve(desk, listed, item, (need, reason), seen, item.approved_correction)

    def open_editor(self, desk: Desk, chosen: int) -> Updates:
        """The text to be learned, to be changed first, and a request that was only drafted."""
        item = chosen_feedback(desk, chosen)
        text = item.approved_correction or wanted(item) or item.answer
        drafted = may_reword(item, message(desk.db, item.message_id).inputs)
        return {
            self.actions: gr.update(visible=False),
            self.editor: gr.update(visible=True),
            self.text: gr.update(value=text),
            self.request: gr.update(value=item.question if drafted else "", visible=drafted),
        }

    def close_editor(self, desk: Desk) -> Updates:
        """Back to the three buttons."""
        return {self.actions: gr.update(visible=True), self.editor: gr.update(visible=False)}

    def approve_edited(
        self,
        desk: Desk,
        status: str,
        before: int | None,
        chosen: int,
        need: str,
        reason: str,
        text: str,
        request: str | None = None,
        *rest: str | None,
    ) -> Updates:
        """Yes, in the reviewer's wording; the contributor's is kept beside it."""
        item = chosen_feedback(desk, chosen)
        drafted = may_reword(item, message(desk.db, item.message_id).inputs)
        asked = request if drafted and request != item.question else None
        listed, seen = listed_and_seen(status, before, rest)
        return self._approve(desk, listed, item, (need, reason), seen, text, asked)

    def _approve(
        self,
        desk: Desk,
        listed: Listed,
        item: Feedback,
        said: tuple[str, str],
        seen: str | None,
        text: str | None,
        question: str | None = None,
    ) -> Updates:
        """Approve and go on; what fails its check first needs a reason from the person."""
        need, reason = said
        reviews = Reviews(self._app, desk.db, desk.workspace)
        review = reviews.look(item, text, question)
        if review.fault and not reason.strip():
            return {self.told: notes(review), self.reason: gr.update(visible=True)}

        def act() -> None:
            reviews.approve(
                item,
                reviewer=desk.person.owner,
                correction=text,
                group=need or None,
                despite_check=reason,
                question=question,
                alone=True,
                seen=seen,
            )
            reviews.close()

        return self._decide(desk, listed, item.id, act)

    def keep_it(
        self,
        desk: Desk,
        status: str,
        before: int | None,
        chosen: int,
        *rest: str | None,
    ) -> Updates:
        """It is right as it is, with the documents as they read today."""
        item, person = chosen_feedback(desk, chosen), desk.person.owner
        listed, seen = listed_and_seen(status, before, rest)

        def act() -> None:
            with write_transaction(desk.db):
                refuse_changed(desk.db, feedback(desk.db, item.id), seen)
                keep(desk.db, item.id, actor=person)

        return self._decide(desk, listed, item.id, act)

    def reject_it(
        self,
        desk: Desk,
        status: str,
        before: int | None,
        chosen: int,
        *rest: str | None,
    ) -> Updates:
        """No; one that was approved before is served no more."""
        item, person = chosen_feedback(desk, chosen), desk.person.owner
        listed, seen = listed_and_seen(status, before, rest)

        def act() -> None:
            reject(desk.db, item.id, reviewer=person, seen=seen)

        return self._decide(desk, listed, item.id, act)

    def take_back(
        self, desk: Desk, status: str, before: int | None, chosen: int, *sought: str | None
    ) -> Updates:
        """One's own first yes, before there is a second."""
        item = chosen_feedback(desk, chosen)
        retract(desk.db, item.id, reviewer=desk.person.owner)
        return self._show(desk, Listed(status, before, *sought), item.id)

    def _decide(self, desk: Desk, listed: Listed, chosen: int, act: Callable[[], None]) -> Updates:
        """Act and go on; where somebody else was faster, the row as it is now."""
        following = self._following(desk, listed, chosen)
        try:
            act()
        except Changed as changed:
            return {**self._show(desk, listed, chosen), self.fault: alert(str(changed))}
        return self._show(desk, listed, following)

    def _following(self, desk: Desk, listed: Listed, chosen: int) -> int | None:
        """The row to go to once the chosen one is decided: the next one, else the one above."""
        ids = [item.id for item in page_of(desk, listed).items]
        if chosen not in ids:
            return None
        place = ids.index(chosen)
        return (ids[place + 1 :] + ids[:place][::-1] + [None])[0]
