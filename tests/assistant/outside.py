"""Feedback from outside, put straight into the tables: many rows, of many people, at any time."""

from contextlib import closing

from assistant.app import App
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.feedback import add_feedback, approve
from storage.records import Inputs, Workspace


def give(
    app: App, workspace: Workspace, rows, *, approved: bool = False, at=None, origin="widget"
) -> list[int]:
    """Feedback for each (contributor, question, correction); `at(number)` is its time of day."""
    made = []
    with closing(app.db()) as db, write_transaction(db):
        talk = start_conversation(db, workspace.id, "somebody")
        for number, (contributor, question, correction) in enumerate(rows):
            asked = add_message(db, talk.id, "user", question)
            reply = add_message(
                *(db, talk.id, "assistant", "I do not know."),
                inputs=Inputs(question, "Be brief.", 1, (), ()),
                finish_reason="stop",
                parent_id=asked.id,
            )
            given = add_feedback(
                db,
                message_id=reply.id,
                origin=origin,
                contributor=contributor,
                correction=correction,
                quarantine=True,
            )
            minute = at(number) if at else f"{number // 60 % 24:02}:{number % 60:02}"
            write(
                db,
                "update feedback set created_at = ? where id = ?",
                *(f"2026-11-20T{minute}:00.000Z", given.id),
            )
            if approved:
                approve(db, given.id, reviewer="user:1")
            made.append(given.id)
    return made
