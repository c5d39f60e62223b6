"""What an erasure takes along, found before anything goes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from storage.adapters import learned_from
from storage.database import rows
from storage.erased_text import digest
from storage.text import to_json

ErasureKind = Literal["feedback", "conversation", "contributor"]


@dataclass(frozen=True)
class Scope:
    """The rows, and what learned from them."""

    feedback: tuple[int, ...]
    conversations: tuple[str, ...]
    rounds: tuple[int, ...]
    """Rounds that learned from a row or were judged by one."""
    adapters: tuple[int, ...]
    """Adapters that learned from one, with all made from them."""
    workspaces: tuple[int, ...]
    words: tuple[str, ...]
    """What people wrote in the rows."""
    replies: tuple[str, ...]
    """What the assistant answered in the conversations."""


def scope_of(db: Database, kind: str, subject: str) -> Scope:
    """Everything that goes when `subject` is erased.

    A contributor's are their judgements and the conversations they own. With a conversation goes
    all feedback on it, whoever gave it; with feedback that was imported, the conversation that was
    made for it. Of feedback alone the question stays: it belongs to its conversation.
    """
    conversations = _conversations(db, kind, subject)
    feedback = _feedback(db, kind, subject, conversations)
    conversations += _imported_only_for(db, feedback, conversations)
    titles = [row["title"] for row in rows_of(db, "conversations", conversations)]
    return Scope(
        feedback=tuple(feedback),
        conversations=tuple(conversations),
        rounds=tuple(_rounds(db, feedback)),
        adapters=tuple(learned_from(db, feedback)),
        workspaces=tuple(_workspaces(db, feedback, conversations)),
        words=_each_once(
            [*_judged(db, feedback), *titles, *_said(db, conversations, by_assistant=False)]
        ),
        replies=_each_once(_said(db, conversations, by_assistant=True)),
    )


def anything(db: Database, kind: str, subject: str) -> bool:
    """Whether there is something to erase."""
    conversations = _conversations(db, kind, subject)
    return bool(conversations or _feedback(db, kind, subject, conversations))


def facts_of(db: Database, scope: Scope) -> dict[str, Any]:
    """What may be kept of it: ids and hashes."""
    return {
        "rows": [
            {"table": table, "id": row["id"], "hash": _row_hash(row)}
            for table, ids in (("feedback", scope.feedback), ("conversations", scope.conversations))
            for row in rows_of(db, table, ids)
        ],
        "feedback": list(scope.feedback),
        "conversations": list(scope.conversations),
        "rounds": list(scope.rounds),
        "adapters": list(scope.adapters),
        "workspaces": list(scope.workspaces),
        "examples": rows(
            db,
            """select round_id as round, feedback_id as feedback, split, pair_hash as hash
            from round_examples where feedback_id in (select value from json_each(?))
            order by id""",
            to_json(list(scope.feedback)),
        ),
    }


def running_rounds_with(db: Database, scope: Scope) -> list[int]:
    """Rounds under way that use a row of `scope`: they must end before it can go."""
    found = rows(
        db,
        """select r.id from rounds r join jobs j on j.id = r.job_id
        where j.state in ('queued', 'running') and r.id in (select value from json_each(?))""",
        to_json(list(scope.rounds)),
    )
    return [row["id"] for row in found]


def rows_of(db: Database, table: str, ids: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows of `table` with these ids, whole."""
    sql = f"select * from {table} where id in (select value from json_each(?)) order by rowid"
    return rows(db, sql, to_json(list(ids)))


def _conversations(db: Database, kind: str, subject: str) -> list[str]:
    column = {"conversation": "id", "contributor": "owner"}.get(kind)
    if column is None:
        return []
    found = rows(db, f"select id from conversations where {column} = ? order by rowid", subject)
    return [row["id"] for row in found]


def _feedback(db: Database, kind: str, subject: str, conversations: Sequence[str]) -> list[int]:
    found = rows(
        db,
        """select f.id from feedback f join messages m on m.id = f.message_id
        where (? = 'feedback' and cast(f.id as text) = ?)
        or (? = 'contributor' and f.contributor = ?)
        or m.conversation_id in (select value from json_each(?)) order by f.id""",
        kind,
        subject,
        kind,
        subject,
        to_json(list(conversations)),
    )
    return [row["id"] for row in found]


def _imported_only_for(
    db: Database, feedback: Sequence[int], conversations: Sequence[str]
) -> list[str]:
    """Conversations that an import made for these rows and that nobody else's feedback needs."""
    given = to_json(list(feedback))
    found = rows(
        db,
        """select distinct c.id from conversations c join messages m on m.conversation_id = c.id
        join feedback f on f.message_id = m.id
        where c.owner = 'import' and f.id in (select value from json_each(?))
        and not exists (
            select 1 from messages other join feedback g on g.message_id = other.id
            where other.conversation_id = c.id and g.id not in (select value from json_each(?))
        ) order by c.rowid""",
        given,
        given,
    )
    return [row["id"] for row in found if row["id"] not in conversations]


def _rounds(db: Database, feedback: Sequence[int]) -> list[int]:
    found = rows(
        db,
        """select distinct round_id from round_examples
        where feedback_id in (select value from json_each(?)) order by round_id""",
        to_json(list(feedback)),
    )
    return [row["round_id"] for row in found]


def _workspaces(db: Database, feedback: Sequence[int], conversations: Sequence[str]) -> list[int]:
    found = rows(
        db,
        """select workspace_id from feedback where id in (select value from json_each(?))
        union select workspace_id from conversations
        where id in (select value from json_each(?))""",
        to_json(list(feedback)),
        to_json(list(conversations)),
    )
    return sorted(row["workspace_id"] for row in found)


def _judged(db: Database, feedback: Sequence[int]) -> list[str]:
    said: list[str] = []
    for row in rows_of(db, "feedback", feedback):
        said += [row["correction"], row["approved_correction"], row["comment"]]
        said += json.loads(row["reasons"])
    sql = """select question as text from paraphrases
        where feedback_id in (select value from json_each(?1))
        union all select text from first_yeses
        where feedback_id in (select value from json_each(?1))"""
    return said + [row["text"] for row in rows(db, sql, to_json(list(feedback)))]


def _said(db: Database, conversations: Sequence[str], *, by_assistant: bool) -> list[str]:
    found = rows(
        db,
        """select content from messages where (role = 'assistant') = ?
        and conversation_id in (select value from json_each(?)) order by rowid""",
        by_assistant,
        to_json(list(conversations)),
    )
    return [row["content"] for row in found]


def _each_once(texts: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text and text.strip()))


def _row_hash(row: dict[str, Any]) -> str:
    plain = {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}
    return digest(to_json(plain))
