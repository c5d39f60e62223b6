"""The reply that feedback judges: what it answered, and what it was made from."""

from typing import Any

from sqlite_utils import Database

from storage.database import one, write
from storage.errors import BadInput, NotFound
from storage.inputs import inputs_from_json
from storage.overrides import history_key
from storage.records import Inputs
from storage.text import clean


def judged_reply(db: Database, message_id: str) -> dict[str, Any]:
    """The assistant's message with its workspace and the question that it answers.

    NotFound for an unknown message, BadInput for one that is not the assistant's.
    """
    row = one(
        db,
        """select m.id, m.role, m.inputs, m.finish_reason, c.workspace_id,
            coalesce(json_extract(m.inputs, '$.question'), q.content, '') as question
        from messages m join conversations c on c.id = m.conversation_id
        left join messages q on q.id = m.parent_id where m.id = ?""",
        clean(message_id),
    )
    if row is None:
        raise NotFound(f"There is no message {clean(message_id)[:64]!r}: it may be deleted.")
    if row["role"] != "assistant":
        raise BadInput(
            f"The message {row['id']} is not the assistant's: give feedback on its replies only."
        )
    return row


def reply_history_key(reply: dict[str, Any]) -> str:
    """The key of what was said before the question; '' for a reply without stored inputs."""
    inputs = _inputs(reply)
    return history_key(inputs.question, inputs.history) if inputs else ""


def keep_passages(db: Database, feedback_id: int, reply: dict[str, Any]) -> None:
    """Note which passages the reply was made from, so that a document can be traced to it."""
    inputs = _inputs(reply)
    for passage in inputs.passages if inputs else ():
        write(
            db,
            """insert into feedback_passages (feedback_id, hash, document_id)
            values (?, ?, (select id from documents where id = ? and workspace_id = ?))
            on conflict do nothing""",
            feedback_id,
            clean(passage.hash),
            passage.document_id,
            reply["workspace_id"],
        )


def _inputs(reply: dict[str, Any]) -> Inputs | None:
    return inputs_from_json(reply["inputs"]) if reply["inputs"] else None
