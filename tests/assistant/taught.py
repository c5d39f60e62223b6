"""Five approved corrections of two needs, as an import leaves them."""

from contextlib import closing

from assistant.app import App
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback, approve
from storage.records import Inputs, Passage, Workspace

WORDINGS = {
    "orders": ["Which orders are closed?", "List closed orders.", "Closed orders, please."],
    "thanks": ["Somebody thanks us. What do we say?", "Answer a thank-you note."],
}


def teach(app: App, workspace: Workspace, passages: tuple[Passage, ...] = ()) -> Workspace:
    """The workspace, with the corrections in it; `passages` stood in every prompt."""
    asked = ((group, question) for group, several in WORDINGS.items() for question in several)
    for group, question in asked:
        with closing(app.db()) as db:
            talk = start_conversation(db, workspace.id, "import")
            before = add_message(db, talk.id, "user", question)
            version = workspace.instructions_version
            reply = add_message(
                db,
                talk.id,
                "assistant",
                "I do not know.",
                parent_id=before.id,
                inputs=Inputs(question, workspace.instructions, version, passages=passages),
                finish_reason="imported",
            )
            given = add_feedback(
                db,
                message_id=reply.id,
                origin="import",
                contributor="c",
                correction=f"right: {group}",
                group=group,
            )
            approve(db, given.id, reviewer="user:1")
    return workspace
