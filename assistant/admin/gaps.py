"""The gaps of a workspace: what was asked and not answered well, and an answer to teach."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.map_plot import NEAR_MEANS, counted, farthest, map_plot
from assistant.admin.tables import LOADING, table
from assistant.plot_sources import Wanted, open_questions_map
from assistant.plots import figure
from assistant.security import may_review, may_see
from assistant.teach_next import Topic, teach_next
from storage.conversations import message
from storage.errors import BadInput, NotFound
from storage.feedback import add_feedback
from storage.gaps import gaps

if TYPE_CHECKING:
    from assistant.app import App

SHOWN = 50
"""Topics on the page; more than a person would teach in one go."""
OTHERS = 3
"""Other wordings shown beside a topic's newest."""


class GapsTab:
    """What to teach next, by topic."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        gr.Markdown(
            "Questions of the last 30 days that were declined, disliked or answered without a "
            "passage of the documents. A document would fix many, a correction the others.",
        )
        self.listed = gr.Markdown(LOADING, elem_id="gaps")
        with gr.Column(visible=False, elem_id="gap-teach") as self.teach:
            self.chosen = gr.Dropdown([], label="Answer one of them", elem_id="gap")
            self.text = gr.Textbox(
                label="The right answer", lines=3, elem_id="gap-answer", elem_classes="kept"
            )
            self.fault = fault_place()
            self.save = gr.Button("Save the correction", size="md", variant="primary")
        self.said = gr.Markdown(elem_id="gap-said")
        # shown with the questions: the map would be taken away when they come
        self.draw = gr.Button(
            "Show on a map of the documents", visible=False, size="md", scale=0, min_width=260
        )
        # all text in it is escaped, and the sanitiser would take the drawing's viewBox away
        self.map = gr.Markdown(sanitize_html=False, elem_id="gap-map")
        outputs = {self.listed, self.teach, self.chosen, self.text, self.said}
        outputs |= {self.draw, self.map}
        bind = binder(app, may_review, workspace, outputs)
        self.refresh = Refresh(at_desk(app, may_see, self.show, silent=True), [], outputs)
        bind(self.save.click, self.save_it, self.chosen, self.text, fault=self.fault)
        slow = {"show_progress": "full", "show_progress_on": self.map}
        binder(app, may_see, workspace, {self.map})(self.draw.click, self.draw_map, **slow)

    def show(self, desk: Desk) -> Updates:
        """The topics as they are now."""
        topics = teach_next(self._app, desk.db, desk.workspace)[:SHOWN]
        return {
            self.listed: table(
                ("Asked", "Question", "Why", "Last (UTC)"),
                [_row(topic) for topic in topics],
                empty="No question is open.",
            ),
            self.teach: gr.update(visible=bool(topics) and may_review(desk.person)),
            self.chosen: gr.update(
                choices=[(topic.questions[0], topic.newest.message_id) for topic in topics],
                value=None,
            ),
            self.text: "",
            self.said: "",
            self.draw: gr.update(visible=True),
            self.map: "",
        }

    def draw_map(self, desk: Desk) -> Updates:
        """The picture, what it leaves out, and the farthest questions in words."""
        progress = gr.Progress()

        def told(share: float, note: str) -> None:
            progress(share, desc=note)

        found = open_questions_map(Wanted(desk.app, desk.db, desk.workspace, told))
        shown = figure(map_plot(found), "map", workspace=desk.workspace.id)
        if not shown:
            few = "A map needs three passages or questions at least."
            said = few if found.passages else "No document was taken in yet."
            return {self.map: f'<p class="note">{said}</p>'}
        note = f'<p class="note">{NEAR_MEANS} {counted(found)}</p>'
        return {self.map: f"{shown}{note}{farthest(found)}"}

    def save_it(self, desk: Desk, chosen: str | None, text: str | None) -> Updates:
        """A correction of the reply to it; somebody approves it under Feedback."""
        if not (text or "").strip():
            raise BadInput("Write the right answer first.")
        floor = desk.workspace.settings.relevance_floor
        known = {gap.message_id for gap in gaps(desk.db, desk.workspace.id, floor=floor)}
        if chosen not in known:
            raise NotFound("Choose a question of the list first.")
        judged = message(desk.db, str(chosen))
        add_feedback(
            desk.db,
            message_id=judged.id,
            origin="staff",
            contributor=desk.person.owner,
            correction=text,
        )
        said = "Saved: it waits for approval under Feedback."
        return {**self.show(desk), self.said: f'<p role="status">{said}</p>'}


def _row(topic: Topic) -> tuple[int, str, str, str]:
    others = topic.questions[1 : 1 + OTHERS]
    question = topic.questions[0] + "".join(f"\n{one}" for one in others)
    counted = {"declined": topic.declined, "disliked": topic.disliked}
    why = ", ".join(f"{count} {name}" for name, count in counted.items() if count)
    return topic.asked, question, why or "no passage", day_and_time(topic.newest.asked_at)
