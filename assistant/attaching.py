"""Files that somebody gives in a conversation to ask about: taken in, and found again.

Only that conversation ever shows them. A refusal is one sentence of `ui/words.toml`, so that the
page says it in its reader's language and a command in English.
"""

import unicodedata
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.retrieval import Found
from knowledge.attached import (
    MOST_CHARACTERS,
    Own,
    TooMuchText,
    is_readable,
    look_into,
    read_attachment,
)
from knowledge.sections import DocumentTextless, DocumentUnreadable
from storage.attachments import MOST_FILES, Attachment, add_attachment, attachments_of
from storage.conversations import start_conversation
from storage.database import write_transaction
from storage.errors import BadInput
from storage.records import Workspace
from storage.text import clean

ATTACHMENT_BYTES = 20_000_000
LONGEST_NAME = 80
"""Characters of a file's name that are kept; its end stays."""
_JOINER = "\u200d"
"""What holds an emoji together; other invisible signs could turn a name around."""


class Unfit(BadInput):
    """A file that is not taken; `key` and `values` are its sentence in `chat_words`."""

    def __init__(self, key: str, **values: object) -> None:
        """The sentence in English is its text."""
        from assistant.chat_words import ENGLISH  # late: it imports gradio

        super().__init__(ENGLISH(key, **values))
        self.key, self.values = key, values


def shown_name(given: str) -> str:
    """A file's name as one short line: no folders, no invisible signs."""
    last = clean(given).replace("\\", "/").rsplit("/", 1)[-1]
    seen = (one if unicodedata.category(one)[0] != "C" or one == _JOINER else " " for one in last)
    name = " ".join("".join(seen).split())
    if len(name) > LONGEST_NAME:
        end = Path(name).suffix[:10]
        name = f"{name[: LONGEST_NAME - len(end) - 1]}…{end}"
    return name or "?"


def check_fit(
    db: Database, workspace: Workspace, conversation_id: str | None, name: str, size: int
) -> None:
    """Unfit for what is refused before a byte of it is read."""
    if not workspace.settings.attachment_tokens:
        raise Unfit("file_not_here")
    if not is_readable(name):
        raise Unfit("file_type", name=name)
    if size == 0:
        raise Unfit("file_empty", name=name)
    if size > ATTACHMENT_BYTES:
        most = f"{ATTACHMENT_BYTES / 1e6:.0f}"
        raise Unfit("file_too_large", name=name, size=f"{size / 1e6:.0f}", most=most)
    if conversation_id and len(attachments_of(db, conversation_id)) >= MOST_FILES:
        raise Unfit("file_too_many", most=MOST_FILES)


def attach(
    app: App, workspace: Workspace, owner: str, conversation_id: str | None, path: Path, name: str
) -> Attachment:
    """Read the file at `path` into the conversation (None: a new one, which it gives its name).

    The caller's right to the conversation is checked. Unfit for what is refused, and then there is
    no new conversation.
    """
    name = shown_name(name)
    if not path.is_file():
        raise BadInput(f"There is no file {str(path)!r}: check its path.")
    size = path.stat().st_size
    with closing(app.db()) as db:
        check_fit(db, workspace, conversation_id, name, size)
    chunks = _read(app, path, name)
    with closing(app.db()) as db, write_transaction(db):
        return add_attachment(
            db,
            conversation_id or start_conversation(db, workspace.id, owner, name).id,
            name=name,
            bytes=size,
            embedder=app.embedder.slug,
            chunks=chunks,
        )


def own_files(
    app: App, db: Database, workspace: Workspace, conversation_id: str, sought: str
) -> Own:
    """What the conversation's files have on what is sought."""
    settings = workspace.settings
    if not settings.attachment_tokens or not attachments_of(db, conversation_id):
        return Own()
    return look_into(
        *(db, conversation_id, sought, app.embedder, app.lexical, workspace.id),
        floor=settings.relevance_floor,
        room=settings.attachment_tokens,
        count_tokens=app.tokenizer.count,
    )


def answers_itself(own: Own, workspace: Workspace) -> bool:
    """Whether the files are about the question, so that no answer approved for it is given."""
    return own.best is not None and own.best >= workspace.settings.relevance_floor


def with_own(found: Found, own: Own) -> Found:
    """What is shown of both: the files first, for they were given to be asked about.

    Where neither has anything on the question, how the files begin: it may ask about the whole.
    """
    if own.best is None:
        return found
    shown = (*own.relevant, *found.passages) or own.beginning
    return Found(shown, found.nearest, max(own.best, found.relevance or 0.0), found.by_words_alone)


def _read(app: App, path: Path, name: str) -> Sequence[tuple[str, str, bytes]]:
    try:
        return read_attachment(path, name, app.embedder, app.settings.chunk_tokens)
    except DocumentTextless:
        raise Unfit("file_textless", name=name) from None
    except TooMuchText:
        raise Unfit("file_too_long", name=name, most=f"{MOST_CHARACTERS:,}") from None
    except DocumentUnreadable:
        raise Unfit("file_unreadable", name=name) from None
