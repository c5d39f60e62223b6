"""Who said yes first, whom the row waits for, and taking one's own yes back."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates
from assistant.admin.feedback_view import day_and_time
from assistant.chat_view import one_line
from assistant.security import may_review
from storage.feedback import wanted
from storage.first_yes import is_own, same_person
from storage.records import Feedback
from storage.seen import approved_by, reviewer_name

if TYPE_CHECKING:
    from collections.abc import Sequence


class SecondForm:
    """Of the row that is shown; the tab wires the button, since all of it changes then."""

    def __init__(self) -> None:
        with gr.Row(visible=False, elem_id="second") as self.whole:
            self.said = gr.Markdown()
            self.back = gr.Button("Take my yes back", size="md", scale=0, min_width=170)
        self.outputs = {self.whole, self.said, self.back}

    def show(self, desk: Desk, item: Feedback | None, others: "Sequence[str]" = ()) -> Updates:
        """`others` are the names of who looks at it too; nothing where there is nothing to say."""
        said = [] if item is None else [_standing(desk, item), _looking(others)]
        text = " ".join(filter(None, said))
        return {
            self.whole: gr.update(visible=bool(text)),
            self.said: f'<p class="note" role="status">{one_line(text)}</p>' if text else "",
            self.back: gr.update(
                visible=item is not None and is_mine(desk, item) and may_review(desk.person)
            ),
        }


def may_say_yes(desk: Desk, item: Feedback) -> bool:
    """Whether a yes of this person can count: not to their own correction where there are two."""
    return not (desk.workspace.settings.two_reviewers and is_own(desk.db, item, desk.person.owner))


def would_count(desk: Desk, item: Feedback) -> bool:
    """Whether their yes to the row as it stands would change anything."""
    waits = desk.workspace.settings.two_reviewers and is_mine(desk, item)
    return may_say_yes(desk, item) and not waits


def is_mine(desk: Desk, item: Feedback) -> bool:
    """Whether the first yes that it waits with is this person's."""
    waits = item.first_reviewer is not None and item.status in ("new", "quarantined")
    return waits and same_person(desk.db, item.first_reviewer or "", desk.person.owner)


def says_something(item: Feedback) -> bool:
    """Whether it could be approved as it stands."""
    return wanted(item) is not None or item.rating is not None


def _standing(desk: Desk, item: Feedback) -> str:
    if item.status == "approved":
        by = " and ".join(approved_by(desk.db, item))
        return f"Approved by {by}." if item.first_reviewer else ""
    if item.status == "rejected":
        return ""
    if item.first_reviewer is None:
        if desk.workspace.settings.two_reviewers and not may_say_yes(desk, item):
            return "Your own: two other reviewers have to say yes."
        return ""
    who = "You" if is_mine(desk, item) else reviewer_name(desk.db, item.first_reviewer)
    said = f"{who} said yes on {day_and_time(item.first_at)} UTC."
    if not desk.workspace.settings.two_reviewers:
        return f"{said} It waits for the next yes: two are not wanted here any more."
    if not may_say_yes(desk, item):
        return f"{said} It waits for a second reviewer, who cannot be you: it is your own."
    return f"{said} It waits for a second reviewer."


def _looking(others: "Sequence[str]") -> str:
    return f"{', '.join(others)} looked at it in the last two minutes." if others else ""
