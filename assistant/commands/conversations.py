"""`apprentice conversations list|show|rename|choose`: what a person does on the chat page.

Nobody reads another's conversation there. Who has the data directory can, so it is on record.
"""

from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from assistant.app import App
from assistant.avatar import assistant_name
from assistant.chat_export import as_json, as_markdown
from assistant.chat_words import ENGLISH
from assistant.commands.who import actor
from assistant.verbs import Event
from storage.attachments import attachments_of
from storage.audit import audit
from storage.conversations import (
    choose_try,
    conversation,
    feedback_of,
    list_conversations,
    message,
    open_thread,
    other_tries,
    rename_conversation,
)
from storage.database import write_transaction
from storage.users import user_by_name
from storage.workspaces import workspace as workspace_named
from storage.workspaces import workspace_by_id


def list_some(app: App, *, workspace: str, who: str, holding: str, limit: int) -> Iterator[Event]:
    """A person's conversations, the last used first; with `holding` those with this text in them.

    `who` is a user's name or the owner of conversations, such as `visitor:...`.
    """
    with closing(app.db()) as db:
        known = workspace_named(db, workspace)
        owner = who if ":" in who else f"user:{user_by_name(db, who).id}"
        _note(db, "conversations listed", f"workspace:{known.id}", owner=owner)
        found = list_conversations(db, known.id, owner, limit, holding=holding)
    for item in found:
        yield {"id": item.id, "title": item.title, "created_at": item.created_at}


def show(app: App, *, conversation_id: str) -> Iterator[Event]:
    """The branch that is shown, as its owner can save it; with each message's other tries."""
    with closing(app.db()) as db:
        known = conversation(db, conversation_id)
        _note(db, "conversation read", f"conversation:{known.id}", owner=known.owner)
        where, thread = workspace_by_id(db, known.workspace_id), open_thread(db, known.id)
        files = [file.name for file in attachments_of(db, known.id)]
        event = as_json(known, where.name, thread, feedback_of(db, known.id))
        for said in event["messages"]:
            tries = [item.id for item in other_tries(db, said["id"])]
            said["other_tries"] = [one for one in tries if one != said["id"]]
        text = as_markdown(known, thread, ENGLISH, files, assistant_name(where))
    yield {**event, "owner": known.owner, "files": files, "text": text}


def rename(app: App, *, conversation_id: str, title: str) -> Iterator[Event]:
    """Give it another name."""
    with closing(app.db()) as db:
        known = rename_conversation(db, conversation_id, title)
        yield {"id": known.id, "title": known.title, "created_at": known.created_at}


def choose(app: App, *, message_id: str) -> Iterator[Event]:
    """Show another try at a turn: the conversation goes on with it, to its newest end."""
    with closing(app.db()) as db:
        chosen = message(db, message_id)
        choose_try(db, chosen.id)
        last = open_thread(db, chosen.conversation_id)[-1]
    yield {"conversation": chosen.conversation_id, "chosen": chosen.id, "last": last.id}


def _note(db: Database, action: str, subject: str, *, owner: str) -> None:
    with write_transaction(db):
        audit(db, actor(), action, subject, {"owner": owner})
