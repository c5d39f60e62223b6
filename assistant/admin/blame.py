"""Whose rows? A round that the gate refused for what it was taught, trained again without some."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Updates, fault_place
from assistant.admin.feedback_view import day_and_time
from storage.errors import BadInput
from storage.records import TuningRound
from storage.rounds import tuning_round

if TYPE_CHECKING:
    from assistant.app import App
    from assistant.blame import Suspected

NAMED = ""
"""The choice of the rows that the gate refused for; any other is a contributor."""
PEOPLE = 20
"""Contributors that are offered: of a phrase that hundreds share no single one makes it."""


class BlameForm:
    """Which refused round, without whose rows; there only where such a round is."""

    def __init__(self, app: "App") -> None:
        self._app = app
        with gr.Accordion(
            "Refused for what it was taught", open=False, visible=False, elem_id="blame"
        ) as self.place:
            gr.Markdown(
                '<p class="note">The round is trained again without some rows and asked the same '
                "questions: do those rows make the difference? It takes about as long as the round "
                "did, and nothing of it serves.</p>"
            )
            with gr.Row(elem_id="blame-row"):
                self.round = gr.Dropdown(
                    [], label="Refused round", min_width=220, elem_id="blame-round"
                )
                self.without = gr.Dropdown(
                    [], label="Leave out", min_width=260, elem_id="blame-without"
                )
                self.start = gr.Button("Find whose rows", size="md", scale=0, min_width=180)
            self.fault = fault_place()
        self.outputs = {self.place, self.round, self.without}

    def show(self, desk: Desk, newest_first: Sequence[TuningRound]) -> Updates:
        """The rounds that can be asked about, unfolded while the newest one is such a round.

        Nothing while a round is at work: another one could not start.
        """
        from assistant.blame import accused

        if not newest_first or newest_first[0].finished_at is None:
            return {self.place: gr.update(visible=False)}
        tried = [(item, accused(self._app, desk.db, item)) for item in newest_first]
        found = [(item, suspected) for item, suspected in tried if suspected is not None]
        if not found:
            return {self.place: gr.update(visible=False)}
        newest, suspected = found[0]
        choices = [(_label(item), item.id) for item, _ in found]
        return {
            self.place: gr.update(visible=True, open=newest.id == newest_first[0].id),
            self.round: gr.update(choices=choices, value=newest.id),
            self.without: _choices(suspected),
        }

    def choose(self, desk: Desk, chosen: int | None) -> Updates:
        """Whose rows can be left out of this round?"""
        return {self.without: _choices(self._suspected(desk, chosen)[1])}

    def begin(self, desk: Desk, chosen: int | None, contributor: str | None) -> TuningRound:
        """Queue it, as the command does."""
        from assistant.blame import start_blame

        item, _ = self._suspected(desk, chosen)
        return start_blame(
            self._app, item.id, contributor=contributor or None, actor=desk.person.owner
        )

    def _suspected(self, desk: Desk, chosen: int | None) -> tuple[TuningRound, "Suspected"]:
        """The round, if it is of the workspace that is shown, and what it was refused for."""
        from assistant.blame import accused

        if not isinstance(chosen, int):
            raise BadInput("Choose the refused round first.")
        item = tuning_round(desk.db, chosen)
        suspected = accused(self._app, desk.db, item)
        if item.workspace_id != desk.workspace.id or suspected is None:
            raise BadInput(
                "Choose a round of this workspace that was refused for what it was taught."
            )
        return item, suspected


def _choices(suspected: "Suspected") -> Any:
    """What is left out of itself comes first, then each other contributor with all of theirs."""
    all_of = f"All of {suspected.contributor}" if suspected.contributor else "All that is suspected"
    each = [
        (f"All of {name} ({count} suspected)", name)
        for name, count in suspected.people[:PEOPLE]
        if name != suspected.contributor
    ]
    count = len(suspected.ids)
    first = f"{all_of} ({count} {'rows' if count > 1 else 'row'})"
    return gr.update(choices=[(first, NAMED), *each], value=NAMED)


def _label(item: TuningRound) -> str:
    return f"{item.id} · {day_and_time(item.created_at)}"
