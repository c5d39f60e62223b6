"""What a document is once it is read: text under headings, whatever its format was."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from storage.errors import BadInput
from storage.text import clean

Part = tuple[int, str]
"""(level, text): a heading of that level, 1 the highest, or body text for level 0."""

# C0 and C1 controls but tab and newline: they have no meaning in text, and terminals obey them
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SEPARATOR = " > "


class DocumentUnreadable(BadInput):
    """No text can be had from the file."""


class DocumentTextless(DocumentUnreadable):
    """The file is whole, but there is no text in it, as in a scan."""


@dataclass(frozen=True)
class Section:
    """The text under one heading; `heading` is the path to it, as in `Returns > Deadlines`."""

    heading: str
    text: str


def outline(parts: Iterable[Part]) -> list[Section]:
    """Sections in reading order. Every word is kept: a heading with nothing under it is one too."""
    path: list[Part] = []
    body: list[str] = []
    sections: list[Section] = []

    def close(next_level: int) -> None:
        text = "\n\n".join(body).strip()
        body.clear()
        # a heading directly above a smaller one stands in that one's path
        if text or (path and next_level <= path[-1][0]):
            sections.append(Section(_SEPARATOR.join(title for _, title in path), text))

    for level, text in ((level, tidy(text)) for level, text in parts):
        if not text:
            continue
        if level == 0:
            body.append(text)
            continue
        close(level)
        while path and path[-1][0] >= level:
            path.pop()
        path.append((level, " ".join(text.split())))
    close(0)
    return sections


def tidy(text: str) -> str:
    """`text` without control characters, lone surrogates, trailing spaces and gaps of lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\xa0", " ")
    text = _CONTROLS.sub("", clean(text).replace("\ufeff", ""))
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
