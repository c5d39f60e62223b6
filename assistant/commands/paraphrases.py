"""`apprentice feedback paraphrase|paraphrases`: other wordings of corrected questions, to judge by.

A person writes them, so they are reviewed as they come.
"""

from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event
from storage import paraphrases
from storage.errors import BadInput, NotFound
from storage.feedback import feedback
from storage.records import Workspace
from storage.workspaces import workspace as workspace_named


def paraphrase(
    app: App,
    *,
    workspace: str,
    id: int | None = None,
    question: str | None = None,
    remove: int | None = None,
) -> Iterator[Event]:
    """Add one to the correction `id`, or remove one."""
    if (remove is None) == (id is None) or (id is not None and question is None):
        raise BadInput(
            "A paraphrase needs the ID of an approved correction and a QUESTION; "
            "`--remove ID` alone takes one away."
        )
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        if remove is not None:
            _must_be_here(db, found, paraphrases.paraphrase(db, remove).feedback_id)
            gone = paraphrases.remove_paraphrase(db, remove, actor=actor())
            yield {"paraphrase": gone.id, "feedback": gone.feedback_id, "status": "removed"}
        if id is not None and question is not None:
            _must_be_here(db, found, id)
            made = paraphrases.add_paraphrase(db, id, question, author=actor())
            yield {
                "paraphrase": made.id,
                "feedback": made.feedback_id,
                "status": "it judges from the next round on, and never trains",
            }


def list_all(app: App, *, workspace: str) -> Iterator[Event]:
    """The paraphrases of approved corrections, the oldest first."""
    with closing(app.db()) as db:
        for item in paraphrases.list_paraphrases(db, workspace_named(db, workspace).id):
            yield {
                "paraphrase": item.id,
                "feedback": item.feedback_id,
                "question": item.question,
                "author": item.author,
                "created_at": item.created_at,
            }


def _must_be_here(db: Database, found: Workspace, feedback_id: int) -> None:
    if feedback(db, feedback_id).workspace_id != found.id:
        raise NotFound(
            f"There is no feedback {feedback_id} in {found.name!r}: `feedback list` shows it."
        )
