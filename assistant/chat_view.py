"""A conversation as the chat page shows it. Pure: rows in, Gradio chatbot messages out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from assistant.chat_words import ENGLISH, Words
from assistant.plain_markdown import plain_markdown
from knowledge.support import Cited, cite
from storage.records import Feedback, FinishReason, Message, Passage

UNDER = '<div class="under">'
"""How the part under a reply begins; `ui/chat.js` cuts copied text there."""

MATHS = (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"))
"""What stands between these is a formula. One dollar begins none: it is a price."""

_PLAIN = str.maketrans({"\r": "", "\n": "&#10;", "$": "&#36;", "\\": "&#92;"})
_THUMBS = {1: "Like", -1: "Dislike"}
_ENDINGS: dict[FinishReason, str] = {
    "interrupted": "stopped",
    "length": "cut_off",
    "error": "failed",
    "override": "served",
}


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
    *,
    words: Words = ENGLISH,
    learned: Mapping[int, int] | None = None,
    private: Collection[str] = (),
    options: Sequence[Mapping[str, str]] = (),
) -> Shown:
    """The thread from its first message on, with what was said about each reply (oldest first).

    `notices` are sentences by message id that were given with a reply and are stored nowhere.
    `learned` says which feedback which adapter knows, `private` which messages nothing is learned
    from; `options` are buttons under the last reply.
    """
    by_message: dict[str, list[Feedback]] = {}
    for item in feedback:
        by_message.setdefault(item.message_id, []).append(item)
    messages, thumbs = [], []
    for message in thread:
        said = by_message.get(message.id, [])
        cited = cite(message.content, [passage.text for passage in passages_of(message)])
        notes = _notes(message, (notices or {}).get(message.id, ()), words)
        if message.id in private and any(item.correction for item in said):
            correction = [f'<p class="note">{one_line(words("file_feedback"))}</p>']
        else:
            correction = _correction(said, learned or {}, words)
        under = _under(message, cited, notes, correction, words)
        messages.append(entry(message.role, cited.text, under))
        if message.role == "assistant":
            thumbs.append(_thumb(said))
    if messages and options:
        messages[-1]["options"] = list(options)
    return Shown(messages, tuple(message.id for message in thread), thumbs)


def entry(role: str, text: str, under: str = "") -> dict[str, Any]:
    """One chatbot message; `under` is HTML of ours that stands below the text."""
    blocks = [{"type": "text", "text": plain_markdown(text, MATHS)}]
    if under:
        blocks.append({"type": "text", "text": under})
    return {"role": role, "content": blocks}


def _thumb(said: Sequence[Feedback]) -> str | None:
    ratings = [item.rating for item in said if item.rating is not None]
    return _THUMBS[ratings[-1]] if ratings else None


def _notes(message: Message, notices: Sequence[str], words: Words) -> list[str]:
    notes = [words.of(notice) for notice in notices]
    ending = _ENDINGS.get(message.finish_reason) if message.finish_reason else None
    if ending and words(ending) not in notes:
        notes.insert(0, words(ending))
    if message.adapter_id is not None:
        notes.append(words("version", version=message.adapter_id))
    return notes


def _under(
    message: Message, cited: Cited, notes: Sequence[str], correction: list[str], words: Words
) -> str:
    if message.role != "assistant":
        return ""
    parts = [f'<p class="note">{one_line(note)}</p>' for note in notes]
    parts += [*_sources(message, cited, words), *correction]
    return UNDER + "".join(parts) + "</div>" if parts else ""


def passages_of(message: Message) -> tuple[Passage, ...]:
    """Those that the model saw."""
    return message.inputs.passages if message.inputs and message.override_id is None else ()


def sources_of(message: Message, cited: Cited) -> list[tuple[int, Passage]]:
    """The passages that a sentence rests on, with their numbers; where none does, all of them."""
    return [
        (number, passage)
        for number, passage in enumerate(passages_of(message), start=1)
        if number in cited.used or not cited.used
    ]


def _sources(message: Message, cited: Cited, words: Words) -> list[str]:
    """The sources; where no sentence rests on one, that it is so."""
    shown = [_source(number, passage, words) for number, passage in sources_of(message, cited)]
    if shown and not cited.used and message.content:
        return [f'<p class="note">{one_line(words("unsupported"))}</p>', *shown]
    return shown


def _source(number: int, passage: Passage, words: Words) -> str:
    link = ""
    if passage.source_url and passage.source_url.startswith(("https://", "http://")):
        link = (
            f'<p><a href="{escape(passage.source_url)}" target="_blank" rel="noopener nofollow">'
            f"{one_line(words('open_page'))}</a></p>"
        )
    return (
        f'<details class="source"><summary>[{number}] {one_line(passage.document)}</summary>'
        f'<div class="passage">{one_line(passage.text)}</div>{link}</details>'
    )


def _correction(said: Sequence[Feedback], learned: Mapping[int, int], words: Words) -> list[str]:
    corrections = [item for item in said if item.correction]
    if not corrections:
        return []
    newest = corrections[-1]
    if newest.status == "approved":
        text = one_line(newest.approved_correction or newest.correction or "")
        version = learned.get(newest.id)
        note = words("learned", version=version) if version else words("approved")
        return [f'<p class="note">{one_line(note)}</p><div class="passage approved">{text}</div>']
    note = words("not_taken" if newest.status == "rejected" else "waiting")
    return [f'<p class="note">{one_line(note)}</p>']


def one_line(text: str) -> str:
    """Text as HTML on one line: a blank line would end the HTML block in Markdown.

    What begins a formula is written so that Gradio, which looks for formulas before it reads the
    HTML, takes nothing of ours for a part of one.
    """
    return escape(text.strip()).translate(_PLAIN)
