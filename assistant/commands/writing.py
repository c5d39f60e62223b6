"""Somebody's own writing, read from files: texts to learn a style from, with what they answer.

| file | gives |
|---|---|
| `.jsonl` | rows with `prompt` (or `question`) and `completion`: what was asked is known |
| `.mbox`, `.eml` | the author's mails without quotes and signature; an answer to a mail that is in
  the file too answers that mail |
| a document of any type we read | its paragraphs, put together to texts of a mail's length |
"""

import email
import mailbox
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default as modern
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from assistant.commands.rows import optional_text, read_rows
from knowledge.documents import MEDIA_TYPES, DocumentUnreadable, read_document
from storage.errors import BadInput
from storage.text import clean

MAILS = (".mbox", ".eml")
SHORTEST, LONGEST = 8, 70
"""Words of one text: shorter ones have no style, longer ones no room in an evaluated answer."""
ASKED_CHARACTERS = 400
"""Of a mail that is answered, what the lesson's question quotes."""
_QUOTED = re.compile(r"^\s*>")
_SIGNATURE = re.compile(r"^-- ?$")
_SOMEBODY_WROTE = re.compile(r"^.{0,200}[:：]\s*$")


@dataclass(frozen=True)
class Writing:
    """One text of the author; `instruction` is what it answers, or None where nobody knows."""

    text: str
    instruction: str | None
    source: str


def read_writing(paths: Sequence[Path], author: str | None) -> list[Writing]:
    """Every text in some files and, recursively, folders, none twice.

    `author` is the mail address whose mails count; without it a mailbox must have one sender.
    Raises BadInput for a path that is missing, when nothing can be read, and for a mailbox of
    several senders without an author.
    """
    found: dict[str, Writing] = {}
    for path in paths:
        if not path.exists():
            raise BadInput(
                f"There is no file or folder {str(path)!r}: name somebody's own writing."
            )
        for file in _files(path):
            for one in _read(file, author):
                found.setdefault(one.text, one)
    if not found:
        named = ", ".join(path.name or str(path) for path in paths)
        raise BadInput(
            f"{named!r} holds no text of {SHORTEST} words or more: give .jsonl rows with "
            "prompt and completion, .mbox or .eml mails, or documents."
        )
    return list(found.values())


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    known = {".jsonl", *MAILS, *MEDIA_TYPES}
    return sorted(
        one
        for one in path.rglob("*")
        if one.is_file() and not one.is_symlink() and one.suffix.lower() in known
    )


def _read(file: Path, author: str | None) -> Iterator[Writing]:
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        for _, (asked, text) in read_rows(str(file), _row)[0]:
            yield Writing(text, asked, file.name)
    elif suffix in MAILS:
        yield from _mails(file, author)
    else:
        try:
            sections = read_document(file)
        except DocumentUnreadable as error:
            raise BadInput(f"{error}") from None
        for section in sections:
            for text in pieces(section.text):
                yield Writing(text, None, file.name)


def _row(row: dict[str, Any]) -> tuple[str | None, str]:
    asked = optional_text(row, "prompt") or optional_text(row, "question")
    text = (optional_text(row, "completion") or "").strip()
    if not text:
        raise BadInput("it has no completion: give the text that the author wrote.")
    return (asked or "").strip() or None, text


def pieces(text: str) -> list[str]:
    """Paragraphs put together while they fit into LONGEST words; a longer one is cut at sentences.

    What is shorter than SHORTEST words at the end is left out.
    """
    made: list[list[str]] = [[]]
    for part in _parts(text):
        if made[-1] and _words("\n\n".join([*made[-1], part])) > LONGEST:
            made.append([])
        made[-1].append(part)
    joined = ("\n\n".join(parts) for parts in made)
    return [one for one in joined if _words(one) >= SHORTEST]


def _parts(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", clean(text)):
        if _words(paragraph) <= LONGEST:
            yield from filter(None, [paragraph.strip()])
            continue
        held: list[str] = []
        for sentence in re.split(r"(?<=[.!?…。！？])\s+", paragraph.strip()):
            if held and _words(" ".join([*held, sentence])) > LONGEST:
                yield " ".join(held)
                held = []
            held.append(" ".join(sentence.split()[: 2 * LONGEST]))
        yield " ".join(held)


def _words(text: str) -> int:
    return len(text.split())


def _mails(file: Path, author: str | None) -> Iterator[Writing]:
    mails = _messages(file)
    senders = Counter(_sender(mail) for mail in mails)
    if author is None and len(senders) > 1:
        several = ", ".join(f"{who} ({count})" for who, count in senders.most_common(5))
        raise BadInput(
            f"{file.name} has mails of {len(senders)} senders ({several}): say whose writing it is "
            "with --author ADDRESS."
        )
    if author is not None and author.casefold() not in senders:
        raise BadInput(f"{file.name} has no mail from {author!r}: check the address.")
    by_id = {str(mail["message-id"]).strip(): mail for mail in mails if mail["message-id"]}
    for mail in mails:
        if author is None or _sender(mail) == author.casefold():
            answered = by_id.get(str(mail["in-reply-to"] or "").strip())
            asked = _asked(answered) if answered is not None else None
            for number, text in enumerate(pieces(own_words(_body(mail)))):
                yield Writing(text, asked if number == 0 else None, file.name)


def _messages(file: Path) -> list[EmailMessage]:
    if file.suffix.lower() == ".eml":
        return [email.message_from_bytes(file.read_bytes(), policy=modern)]
    box = mailbox.mbox(file, factory=_modern, create=False)  # type: ignore[arg-type]
    try:
        return list(box)  # type: ignore[arg-type]
    finally:
        box.close()


def _modern(file: Any) -> EmailMessage:
    return email.message_from_binary_file(file, policy=modern)


def _sender(mail: EmailMessage) -> str:
    return parseaddr(str(mail["from"] or ""))[1].casefold()


def _body(mail: EmailMessage) -> str:
    """The mail's plain text; '' for one that has none or cannot be decoded."""
    part = mail.get_body(preferencelist=("plain",))
    if part is None:
        return ""
    try:
        return clean(str(part.get_content()))
    except (LookupError, KeyError, UnicodeError):  # an encoding or a type that nobody knows
        return ""


def own_words(body: str) -> str:
    """A mail's text without what it quotes, the line that announces a quote, and the signature."""
    lines = body.replace("\r\n", "\n").split("\n")
    kept: list[str] = []
    for line in lines:
        if _SIGNATURE.match(line):
            break
        if _QUOTED.match(line):
            while kept and not kept[-1].strip():
                kept.pop()
            if kept and _SOMEBODY_WROTE.match(kept[-1]) and "@" in kept[-1]:
                kept.pop()
            continue
        kept.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _asked(answered: EmailMessage) -> str | None:
    text = " ".join(own_words(_body(answered)).split())
    return f"Answer this mail: {text[:ASKED_CHARACTERS]}" if text else None


def by_source(found: Sequence[Writing]) -> str:
    """How many texts came from which file, in words."""
    counts = Counter(one.source for one in found)
    return ", ".join(f"{count} from {source}" for source, count in counts.most_common(5))
