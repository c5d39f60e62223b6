"""A conversation as the chat page shows it. Pure: rows in, Gradio chatbot messages out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from assistant.overriding import SERVED
from knowledge.support import Cited, cite
from storage.records import Feedback, FinishReason, Message, Passage

CORRECT = "Correct this answer"
"""The feedback option that opens the editor; Gradio sends its text as the choice."""
UNDER = '<div class="under">'
"""How the part under a reply begins; `ui/chat.js` cuts copied text there."""

_THUMBS = {1: "Like", -1: "Dislike"}
_ENDINGS: dict[FinishReason, str] = {
    "interrupted": "Stopped before the end.",
    "length": "Cut off: the longest answer that is allowed here.",
    "error": "An error ended this answer.",
    "override": SERVED,
}
UNSUPPORTED = "No sentence of this reply was found in the passages that it was made from:"
_WAITING = (
    "You corrected this answer. A reviewer looks at it; you will see it here once it is approved."
)
_NOT_TAKEN = "You corrected this answer. A reviewer decided not to take the correction."


@dataclass(frozen=True)
class Shown:
    """What the chatbot component gets, and the id of the message behind each of its entries."""

    messages: list[dict[str, Any]]
    ids: tuple[str, ...]
    thumbs: list[str | None]
    """One entry per reply."""


def show(
    thread: Sequence[Message],
    feedback: Sequence[Feedback] = (),
    notices: Mapping[str, Sequence[str]] | None = None,
) -> Shown:
    """The thread from its first message on, with what was said about each reply (oldest first).

    `notices` are sentences by message id that were given with a reply and are stored nowhere.
    """
    by_message: dict[str, list[Feedback]] = {}
    for item in feedback:
        by_message.setdefault(item.message_id, []).append(item)
    messages, thumbs = [], []
    for message in thread:
        said = by_message.get(message.id, [])
        cited = cite(message.content, [passage.text for passage in _passages(message)])
        under = _under(message, cited, said, (notices or {}).get(message.id, ()))
        messages.append(entry(message.role, cited.text, under))
        if message.role == "assistant":
            thumbs.append(_thumb(said))
    return Shown(messages, tuple(message.id for message in thread), thumbs)


def entry(role: str, text: str, under: str = "") -> dict[str, Any]:
    """One chatbot message; `under` is HTML of ours that stands below the text."""
    blocks = [{"type": "text", "text": text}]
    if under:
        blocks.append({"type": "text", "text": under})
    return {"role": role, "content": blocks}


def _thumb(said: Sequence[Feedback]) -> str | None:
    ratings = [item.rating for item in said if item.rating is not None]
    return _THUMBS[ratings[-1]] if ratings else None


def _under(message: Message, cited: Cited, said: Sequence[Feedback], notices: Sequence[str]) -> str:
    if message.role != "assistant":
        return ""
    notes = list(notices)
    ending = _ENDINGS.get(message.finish_reason) if message.finish_reason else None
    if ending and ending not in notes:
        notes.insert(0, ending)
    if message.adapter_id is not None:
        notes.append(f"Adapter {message.adapter_id}")
    parts = [f'<p class="note">{one_line(note)}</p>' for note in notes]
    parts += [*_sources(message, cited), *_correction(said)]
    return UNDER + "".join(parts) + "</div>" if parts else ""


def _passages(message: Message) -> tuple[Passage, ...]:
    """Those that the model saw."""
    return message.inputs.passages if message.inputs and message.override_id is None else ()


def _sources(message: Message, cited: Cited) -> list[str]:
    """The passages that a sentence rests on; where none does, all of them, and that it is so."""
    shown = [
        _source(number, passage)
        for number, passage in enumerate(_passages(message), start=1)
        if number in cited.used or not cited.used
    ]
    if shown and not cited.used and message.content:
        return [f'<p class="note">{UNSUPPORTED}</p>', *shown]
    return shown


def _source(number: int, passage: Passage) -> str:
    link = ""
    if passage.source_url and passage.source_url.startswith(("https://", "http://")):
        link = f'<p><a href="{escape(passage.source_url)}">Open the page</a></p>'
    return (
        f'<details class="source"><summary>[{number}] {one_line(passage.document)}</summary>'
        f'<div class="passage">{one_line(passage.text)}</div>{link}</details>'
    )


def _correction(said: Sequence[Feedback]) -> list[str]:
    corrections = [item for item in said if item.correction]
    if not corrections:
        return []
    newest = corrections[-1]
    if newest.status == "approved":
        text = one_line(newest.approved_correction or newest.correction or "")
        return [
            '<p class="note">Your correction was approved and is the answer from now on:</p>'
            f'<div class="passage approved">{text}</div>'
        ]
    return [f'<p class="note">{_NOT_TAKEN if newest.status == "rejected" else _WAITING}</p>']


def one_line(text: str) -> str:
    """Text as HTML on one line: a blank line would end the HTML block in Markdown."""
    return escape(text.strip()).replace("\r", "").replace("\n", "&#10;")
