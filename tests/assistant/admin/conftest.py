"""What the tests of the admin's tabs share: people, two workspaces, and a way to press a button."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest
from sqlite_utils import Database

from assistant.admin.desk import at_desk
from assistant.app import App
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback, approve
from storage.records import Feedback, Inputs, Job, Passage, Workspace
from storage.workspaces import workspace
from tests.assistant.people import Caller, everybody


@dataclass
class Office:
    """An app with everybody in it, seen from its admin page."""

    app: App
    people: dict[str, Caller]
    team: Workspace

    def press(self, who: str, right: Any, work: Any, *inputs: Any, workspace: Any = None) -> Any:
        """One event of a tab, as the page would send it."""
        chosen = self.team.id if workspace is None else workspace
        return at_desk(self.app, right, work)(self.people[who].request(), chosen, *inputs)

    def ended(self, last: Callable[[Database, int], Job | None]) -> Job:
        """The team's last job of a kind, once it has ended."""
        end = time.monotonic() + 600
        with closing(self.app.db()) as db:
            while time.monotonic() < end:
                job = last(db, self.team.id)
                if job is not None and job.finished_at is not None:
                    return job
                time.sleep(0.05)
        raise AssertionError("the job did not end")

    def correction(
        self, question: str, wanted: str | None = "Yes.", passages: tuple[Passage, ...] = ()
    ) -> Feedback:
        """Feedback of mo on a reply in `team`."""
        owner = self.people["mo"].person.owner
        with closing(self.app.db()) as db:
            said = start_conversation(db, self.team.id, owner)
            asked = add_message(db, said.id, "user", question)
            reply = add_message(
                db,
                said.id,
                "assistant",
                "No.",
                parent_id=asked.id,
                inputs=Inputs(question, "", 1, passages=passages),
                finish_reason="stop",
            )
            rating = -1 if wanted is None else None
            return add_feedback(
                db,
                message_id=reply.id,
                origin="staff",
                contributor=owner,
                correction=wanted,
                rating=rating,
            )


@pytest.fixture
def office(app):
    people = everybody(app)
    with closing(app.db()) as db:
        team = workspace(db, "team")
    return Office(app, people, team)


@pytest.fixture
def tab(office):
    """Builds a tab as the panel does."""

    def build(kind):
        with gr.Blocks():
            return kind(office.app, gr.Dropdown([]))

    return build


@pytest.fixture
def approved(office):
    """A correction that was approved."""
    given = office.correction("How long may goods be returned?", "45 days.")
    with closing(office.app.db()) as db:
        return approve(db, given.id, reviewer="user:1")
