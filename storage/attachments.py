"""Files that a person gave in one conversation, as chunks: nobody else finds them.

They go with their conversation. `messages.attached` marks what was said with one (see
`made_with_files`), so that nothing of it is learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from storage.database import insert, one, rows, write, write_transaction
from storage.documents import chunk_hash
from storage.errors import NotFound, Refused
from storage.text import clean, to_json

MOST_FILES = 5
"""Files in one conversation."""
NOT_LEARNED = (
    "a file that only its reader gave was in the conversation, so nothing is learned from it"
)
"""Why feedback is never approved: words of the file would reach others."""


@dataclass(frozen=True)
class Attachment:
    """A file as it was given."""

    id: int
    conversation_id: str
    name: str
    bytes: int
    created_at: str


@dataclass(frozen=True)
class AttachedChunk:
    """A piece of such a file; `vector` is float32, of the model called `embedder`."""

    attachment_id: int
    name: str
    position: int
    heading: str
    text: str
    hash: str
    vector: bytes
    embedder: str

    @property
    def shown(self) -> str:
        """The text under its heading, as in a passage."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


_COLUMNS = "id, conversation_id, name, bytes, created_at"


def add_attachment(
    db: Database,
    conversation_id: str,
    *,
    name: str,
    bytes: int,
    embedder: str,
    chunks: Sequence[tuple[str, str, bytes]],
) -> Attachment:
    """Save a file as chunks of (heading, text, vector).

    Refused for more than MOST_FILES in a conversation, NotFound for one that is deleted.
    """
    with write_transaction(db):
        if one(db, "select 1 from conversations where id = ?", conversation_id) is None:
            raise NotFound("The conversation is not there any more.")
        if len(attachments_of(db, conversation_id)) >= MOST_FILES:
            raise Refused(f"There are {MOST_FILES} files in this conversation: remove one first.")
        new = insert(
            db,
            "attachments",
            conversation_id=conversation_id,
            name=clean(name),
            bytes=bytes,
            embedder=embedder,
        )
        for position, (heading, text, vector) in enumerate(chunks):
            write(
                db,
                "insert into attachment_chunks values (?, ?, ?, ?, ?, ?)",
                *(new, position, clean(heading), clean(text), chunk_hash(heading, text), vector),
            )
    return attachment(db, new)


def attachment(db: Database, attachment_id: int) -> Attachment:
    """The file with this id; NotFound otherwise."""
    row = one(db, f"select {_COLUMNS} from attachments where id = ?", attachment_id)
    if row is None:
        raise NotFound(f"There is no attached file {attachment_id}: it may be removed.")
    return Attachment(**row)


def attachments_of(db: Database, conversation_id: str) -> list[Attachment]:
    """The conversation's files, the first given first."""
    sql = f"select {_COLUMNS} from attachments where conversation_id = ? order by id"
    return [Attachment(**row) for row in rows(db, sql, clean(conversation_id))]


def attached_chunks(db: Database, conversation_id: str) -> list[AttachedChunk]:
    """All of the conversation's files, in reading order."""
    found = rows(
        db,
        """select c.attachment_id, a.name, c.position, c.heading, c.text, c.hash, c.vector,
            a.embedder
        from attachments a join attachment_chunks c on c.attachment_id = a.id
        where a.conversation_id = ? order by a.id, c.position""",
        conversation_id,
    )
    return [AttachedChunk(**row) for row in found]


def attached_text(db: Database, attachment_id: int) -> str:
    """What was read from the file, each heading once."""
    found = rows(
        db,
        """select heading, text, lag(heading, 1, '') over (order by position) as before
        from attachment_chunks where attachment_id = ? order by position""",
        attachment_id,
    )
    new = [row["heading"] if row["heading"] != row["before"] else "" for row in found]
    return "\n".join(
        f"{heading}\n{row['text']}" if heading else row["text"]
        for heading, row in zip(new, found, strict=True)
    )


def put_vectors(
    db: Database, attachment_id: int, *, embedder: str, vectors: Sequence[bytes]
) -> None:
    """Another model's vectors for the chunks of a file, in reading order."""
    with write_transaction(db):
        for position, vector in enumerate(vectors):
            write(
                db,
                "update attachment_chunks set vector = ? where attachment_id = ? and position = ?",
                *(vector, attachment_id, position),
            )
        write(db, "update attachments set embedder = ? where id = ?", embedder, attachment_id)


def remove_attachment(db: Database, attachment_id: int) -> None:
    """Take it away; what was answered with it stays, and stays marked. NotFound if unknown."""
    with write_transaction(db):
        write(db, "delete from attachments where id = ?", attachment(db, attachment_id).id)


def made_with_files(db: Database, message_ids: Sequence[str]) -> set[str]:
    """Those of the messages that were said while a file was there, or after such a message."""
    found = rows(
        db,
        "select id from messages where attached and id in (select value from json_each(?))",
        to_json(list(message_ids)),
    )
    return {row["id"] for row in found}


def refuse_made_with_files(db: Database, message_id: str) -> None:
    """Refused where the message is one of `made_with_files`: it is not learned from."""
    if made_with_files(db, [message_id]):
        raise Refused(f"This cannot be approved: {NOT_LEARNED}. Reject it.")
