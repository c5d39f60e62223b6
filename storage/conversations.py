"""Conversations and their messages: what was said, and for each reply what the model saw.

Messages form a tree by `parent_id`: an edited question and a regenerated reply are branches, and
nothing is overwritten. Who may read a conversation is asked by the caller (`owner`).
"""

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, get_args

from sqlite_utils import Database

from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.feedback import SELECT_FEEDBACK, feedback_from_row
from storage.inputs import inputs_from_json, inputs_to_json
from storage.records import Conversation, Feedback, Inputs, Message, Role
from storage.text import clean, to_json

TITLE_LENGTH = 80
"""Characters of the first question that become the title of an untitled conversation."""

_CONVERSATION = "id, workspace_id, owner, title, created_at"
_MESSAGE = """m.id, m.conversation_id, m.role, m.content, m.created_at, m.parent_id, m.variant_of,
m.inputs, m.sent_ids, m.base_fingerprint, m.adapter_id, m.engine, m.prompt_tokens,
m.completion_tokens, m.finish_reason, m.override_id, m.latency_ms, m.ttft_ms, m.relevance,
m.declined"""


def new_id() -> str:
    """An id that nobody can guess, for a conversation or a message."""
    return secrets.token_hex(16)


def start_conversation(
    db: Database, workspace_id: int, owner: str, title: str = ""
) -> Conversation:
    """A new, empty conversation of `owner` (`user:<id>`, `visitor:<token>`, `import`, ...)."""
    conversation_id = new_id()
    with write_transaction(db):
        if one(db, "select 1 from workspaces where id = ?", workspace_id) is None:
            raise NotFound(f"There is no workspace with the id {workspace_id}: it may be deleted.")
        insert(
            db,
            "conversations",
            id=conversation_id,
            workspace_id=workspace_id,
            owner=clean(owner),
            title=clean(title),
        )
    return conversation(db, conversation_id)


def conversation(db: Database, conversation_id: str) -> Conversation:
    """The conversation with this id; NotFound otherwise."""
    row = one(db, f"select {_CONVERSATION} from conversations where id = ?", clean(conversation_id))
    if row is None:
        raise NotFound(
            f"There is no conversation {clean(conversation_id)[:64]!r}: it may be deleted."
        )
    return Conversation(**row)


def list_conversations(
    db: Database, workspace_id: int, owner: str, limit: int = 50, *, holding: str = ""
) -> list[Conversation]:
    """The owner's conversations in one workspace, the last used first.

    With `holding` only those with this text in the title or in something that was said; small and
    capital letters are the same as far as they are of the English alphabet.
    """
    sought = " ".join(clean(holding).split())
    like = "%" + re.sub("([!%_])", r"!\1", sought) + "%"
    found = rows(
        db,
        f"""select {_CONVERSATION} from conversations c where workspace_id = ? and owner = ?
        and (? = '' or title like ? escape '!' or exists (
            select 1 from messages m where m.conversation_id = c.id
            and m.content like ? escape '!'))
        order by updated_at desc, rowid desc limit ?""",
        workspace_id,
        clean(owner),
        sought,
        like,
        like,
        limit,
    )
    return [Conversation(**row) for row in found]


def rename_conversation(db: Database, conversation_id: str, title: str) -> Conversation:
    """Give it another title, cut to TITLE_LENGTH; NotFound for an unknown one, BadInput for ''."""
    title = " ".join(clean(title).split())[:TITLE_LENGTH]
    if not title:
        raise BadInput("The name is empty: write one.")
    with write_transaction(db):
        known = conversation(db, conversation_id)
        write(db, "update conversations set title = ? where id = ?", title, known.id)
    return conversation(db, known.id)


def delete_conversation(db: Database, conversation_id: str) -> None:
    """Delete it with its messages and their feedback.

    Refused when a correction in it was approved: deleting would not un-teach it, erasing does.
    """
    with write_transaction(db):
        known = conversation(db, conversation_id)
        taught = one(
            db,
            """select 1 from feedback f join messages m on m.id = f.message_id
            where m.conversation_id = ? and f.status = 'approved'""",
            known.id,
        )
        if taught:
            raise Refused(
                f"The conversation {known.id} holds a correction that the assistant learns from: "
                "reject that correction first, or have an admin erase the conversation."
            )
        write(db, "delete from conversations where id = ?", known.id)


def add_message(
    db: Database,
    conversation_id: str,
    role: Role,
    content: str,
    *,
    parent_id: str | None = None,
    variant_of: str | None = None,
    inputs: Inputs | None = None,
    base_fingerprint: str | None = None,
    adapter_id: int | None = None,
    engine: str | None = None,
    sent_ids: Sequence[int] = (),
    finish_reason: str | None = None,
    override_id: int | None = None,
    relevance: float | None = None,
    declined: bool = False,
    message_id: str | None = None,
) -> Message:
    """Save one message; a reply may be saved empty and finished later by `finish_message`.

    `parent_id` is the message that it answers or follows (None: the first one), `variant_of` the
    reply that it is another try of; both must be of the same conversation (BadInput).
    `message_id` is a fresh one of `new_id`, for who has to know it before.
    """
    message_id = message_id or new_id()
    with write_transaction(db):
        known = conversation(db, conversation_id)
        _of_same_conversation(db, known.id, parent_id)
        _of_same_conversation(db, known.id, variant_of)
        insert(
            db,
            "messages",
            id=message_id,
            conversation_id=known.id,
            role=_known_role(role),
            content=clean(content),
            parent_id=parent_id,
            variant_of=variant_of,
            inputs=inputs_to_json(inputs) if inputs else None,
            base_fingerprint=base_fingerprint,
            adapter_id=adapter_id,
            engine=engine,
            sent_ids=to_json(list(sent_ids)) if len(sent_ids) else None,
            finish_reason=finish_reason,
            override_id=override_id,
            relevance=relevance,
            declined=int(declined),
        )
        _touch(db, known, role, content)
    return message(db, message_id)


def finish_message(
    db: Database,
    message_id: str,
    *,
    content: str,
    finish_reason: str,
    prompt_tokens: int | None = None,
    completion_tokens: int | None = None,
    latency_ms: float | None = None,
    ttft_ms: float | None = None,
) -> Message:
    """Fill in a reply that was saved when its stream began; times are milliseconds."""
    with write_transaction(db):
        known = message(db, message_id)
        write(
            db,
            """update messages set content = ?, finish_reason = ?, prompt_tokens = ?,
            completion_tokens = ?, latency_ms = ?, ttft_ms = ? where id = ?""",
            clean(content),
            finish_reason,
            prompt_tokens,
            completion_tokens,
            latency_ms,
            ttft_ms,
            known.id,
        )
    return message(db, known.id)


def message(db: Database, message_id: str) -> Message:
    """The message with this id; NotFound otherwise."""
    row = one(db, f"select {_MESSAGE} from messages m where id = ?", clean(message_id))
    if row is None:
        raise NotFound(f"There is no message {clean(message_id)[:64]!r}: it may be deleted.")
    return _message(row)


def messages_of(db: Database, conversation_id: str) -> list[Message]:
    """Every message of the conversation, all branches, oldest first; NotFound if unknown."""
    known = conversation(db, conversation_id)
    found = rows(
        db, f"select {_MESSAGE} from messages m where conversation_id = ? order by rowid", known.id
    )
    return [_message(row) for row in found]


def thread_to(db: Database, message_id: str) -> list[Message]:
    """The path from the first message down to this one, both included; NotFound if unknown."""
    found = rows(
        db,
        f"""with recursive path(id, parent_id, depth) as (
            select id, parent_id, 0 from messages where id = ?
            union all
            select p.id, p.parent_id, depth + 1 from messages p join path on p.id = path.parent_id
        )
        select {_MESSAGE} from path join messages m on m.id = path.id order by depth desc""",
        message(db, message_id).id,
    )
    return [_message(row) for row in found]


def open_thread(db: Database, conversation_id: str) -> list[Message]:
    """The branch that is shown and goes on: the chosen one, else that of the newest message.

    Empty for a conversation without messages; NotFound if unknown.
    """
    row = one(
        db,
        """select coalesce(c.chosen, (select m.id from messages m where m.conversation_id = c.id
        order by m.rowid desc limit 1)) as last from conversations c where c.id = ?""",
        conversation(db, conversation_id).id,
    )
    return thread_to(db, row["last"]) if row and row["last"] else []


def other_tries(db: Database, message_id: str) -> list[Message]:
    """All tries at one turn, this one among them, oldest first: what has the same parent."""
    known = message(db, message_id)
    found = rows(
        db,
        f"""select {_MESSAGE} from messages m where conversation_id = ? and parent_id is ?
        and role = ? order by rowid""",
        known.conversation_id,
        known.parent_id,
        known.role,
    )
    return [_message(row) for row in found]


def choose_try(db: Database, message_id: str) -> None:
    """Show and go on with the branch of this message, to its newest end; NotFound if unknown.

    A new message in the conversation is shown again, wherever it stands.
    """
    with write_transaction(db):
        known = message(db, message_id)
        write(
            db,
            """update conversations set chosen = (
                with recursive below(id) as (
                    select ? union all
                    select m.id from messages m join below on m.parent_id = below.id
                )
                select m.id from below join messages m on m.id = below.id
                order by m.rowid desc limit 1
            ) where id = ?""",
            known.id,
            known.conversation_id,
        )


def go_back_to(db: Database, message_id: str) -> None:
    """Show the branch only as far as this message and go on from it; NotFound if unknown.

    What came after it is kept, and found again as another try once something new is said.
    """
    with write_transaction(db):
        known = message(db, message_id)
        write(
            db,
            "update conversations set chosen = ? where id = ?",
            *(known.id, known.conversation_id),
        )


def feedback_values(db: Database, conversation_id: str) -> dict[str, Feedback]:
    """For each message of the conversation that has feedback, the newest one."""
    return {item.message_id: item for item in feedback_of(db, conversation_id)}


def feedback_of(db: Database, conversation_id: str) -> list[Feedback]:
    """All feedback on the conversation's messages, oldest first."""
    found = rows(
        db,
        f"{SELECT_FEEDBACK} where m.conversation_id = ? order by f.id",
        clean(conversation_id),
    )
    return [feedback_from_row(row) for row in found]


def mark_interrupted(db: Database) -> int:
    """At server start: replies whose stream died with the last server; returns how many."""
    with write_transaction(db):
        return write(
            db,
            """update messages set finish_reason = 'interrupted'
            where role = 'assistant' and finish_reason is null""",
        )


def _known_role(role: str) -> str:
    if role not in get_args(Role):
        raise BadInput(f"{clean(role)!r} is no role: use one of {', '.join(get_args(Role))}.")
    return role


def _of_same_conversation(db: Database, conversation_id: str, message_id: str | None) -> None:
    if message_id is None:
        return
    if message(db, message_id).conversation_id != conversation_id:
        raise BadInput(
            f"The message {message_id} is not of the conversation {conversation_id}: "
            "name one of its own messages."
        )


def _touch(db: Database, known: Conversation, role: str, content: str) -> None:
    """Note the time of use; the first question becomes the title where there is none.

    What is new is shown, whatever branch was chosen before.
    """
    title = known.title
    if not title and role == "user":
        title = " ".join(clean(content).split())[:TITLE_LENGTH]
    write(
        db,
        f"update conversations set updated_at = {NOW}, title = ?, chosen = null where id = ?",
        title,
        known.id,
    )


def _message(row: dict[str, Any]) -> Message:
    inputs = inputs_from_json(row["inputs"]) if row["inputs"] else None
    sent_ids = tuple(json.loads(row["sent_ids"])) if row["sent_ids"] else ()
    declined = bool(row["declined"])
    return Message(**{**row, "inputs": inputs, "sent_ids": sent_ids, "declined": declined})


def replies_today(db: Database, workspace_id: int, owners: str) -> int:
    """Replies since midnight (UTC) in the conversations whose owner matches the glob `owners`."""
    found = rows(
        db,
        """select count(*) as count from conversations c
        join messages m on m.conversation_id = c.id
        where c.workspace_id = ? and c.owner glob ? and c.updated_at >= date('now')
        and m.role = 'assistant' and m.created_at >= date('now')""",
        workspace_id,
        owners,
    )
    return int(found[0]["count"])


def last_reply(db: Database) -> str | None:
    """When anybody was last answered, in any workspace; imported replies do not count."""
    row = one(
        db,
        """select m.created_at as at from messages m
        join conversations c on c.id = m.conversation_id
        where m.role = 'assistant' and c.owner != 'import' order by m.rowid desc limit 1""",
    )
    return row["at"] if row else None
