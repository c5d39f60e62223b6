"""A conversation as the panel on a website draws it. Pure: rows in, plain values out.

Only what a visitor may see: no notices for the owner, and passages where the workspace says so.
"""

from collections.abc import Sequence
from typing import Any

from assistant.chat_view import passages_of, sources_of
from knowledge.support import cite
from storage.records import Feedback, Message

_ENDS = {
    "interrupted": "interrupted",
    "length": "length",
    "error": "failed",
    "override": "override",
}
"""What is said under a reply, as a name that the panel has words for."""


def shown(
    thread: Sequence[Message], feedback: Sequence[Feedback], *, sources: bool
) -> list[dict[str, Any]]:
    """The thread from its first message on; `feedback` is all of it, oldest first."""
    return [_entry(message, feedback, sources=sources) for message in thread]


def _entry(message: Message, feedback: Sequence[Feedback], *, sources: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": message.id, "role": message.role, "text": message.content}
    if message.role != "assistant":
        return entry
    said = [item for item in feedback if item.message_id == message.id]
    ratings = [item.rating for item in said if item.rating is not None]
    listed = []
    if sources:
        cited = cite(message.content, [passage.text for passage in passages_of(message)])
        entry["text"] = cited.text
        listed = [
            {
                "number": number,
                "document": passage.document,
                "text": passage.text,
                "url": passage.source_url or "",
            }
            for number, passage in sources_of(message, cited)
        ]
    return {
        **entry,
        "plain": message.content,
        "end": _ENDS.get(message.finish_reason or "", ""),
        "sources": listed,
        "rating": ratings[-1] if ratings else 0,
        "correction": _correction(said),
    }


def _correction(said: Sequence[Feedback]) -> dict[str, str] | None:
    corrections = [item for item in said if item.correction]
    if not corrections:
        return None
    newest = corrections[-1]
    if newest.status == "approved":
        text = newest.approved_correction or newest.correction or ""
        return {"status": "approved", "text": text}
    return {"status": "rejected" if newest.status == "rejected" else "waiting", "text": ""}
