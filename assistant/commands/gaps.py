"""`apprentice feedback gaps`."""

from collections.abc import Iterator
from contextlib import closing

from assistant.app import App
from assistant.teach_next import teach_next
from assistant.verbs import Event
from storage.workspaces import workspace as workspace_named


def list_topics(app: App, *, workspace: str, days: int) -> Iterator[Event]:
    """Questions that were declined, disliked or answered without a relevant passage, by topic."""
    with closing(app.db()) as db:
        for topic in teach_next(app, db, workspace_named(db, workspace), days=days):
            yield {
                "questions": list(topic.questions),
                "asked": topic.asked,
                "declined": topic.declined,
                "disliked": topic.disliked,
                "newest": topic.newest.asked_at,
                "message": topic.newest.message_id,
            }
