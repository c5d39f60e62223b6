"""The text of a PDF with its headings, which are the lines in larger type than the rest."""

from collections import Counter
from math import hypot
from pathlib import Path
from typing import Any

from pypdf import PageObject, PdfReader

from knowledge.sections import Part

_LARGER = 1.12  # times the body's size: below it, type differs by rounding only
_WRAPPED = 0.6  # of the longest line: a shorter one ended where its author ended it
_LONGEST_HEADING = 120

Line = tuple[int, str]
"""(size of its type in half points, text)."""


def open_pdf(path: Path) -> PdfReader:
    """The file, opened; what is wrong with it may show only when its pages are read."""
    return PdfReader(path)


def is_locked(reader: PdfReader) -> bool:
    """Whether it needs a password to be read (many encrypted ones only forbid changes)."""
    return reader.is_encrypted and not reader.decrypt("")


def pdf_parts(reader: PdfReader) -> list[Part]:
    """Headings by the size of their type, the larger the higher; wrapped lines are joined."""
    lines = [line for page in reader.pages for line in _lines(page)]
    levels = _levels(lines)
    width = max((len(text) for size, text in lines if size not in levels), default=0)
    parts: list[Part] = []
    for size, text in lines:
        level = levels.get(size, 0) if len(text) <= _LONGEST_HEADING else 0
        if not parts or parts[-1][0] != level:
            parts.append((level, text))
        else:
            # a second line of the same: of a heading too, which may take two lines
            wrapped = level > 0 or _is_wrapped(parts[-1][1], width)
            parts[-1] = (level, parts[-1][1] + (" " if wrapped else "\n") + text)
    return parts


def _lines(page: PageObject) -> list[Line]:
    pieces: list[tuple[str, float]] = []

    def note(text: str, cm: Any, tm: Any, font: Any, size: float) -> None:
        scale = hypot(tm[2], tm[3]) * hypot(cm[2], cm[3])
        pieces.append((text, size * scale))

    whole = page.extract_text(visitor_text=note)
    if "".join(text for text, _ in pieces).split() != whole.split():
        # the pieces are not always all of it: then the text counts more than its headings
        return [(0, line) for line in whole.splitlines() if line.strip()]
    lines: list[list[tuple[str, float]]] = [[]]
    for text, size in pieces:
        first, *rest = text.split("\n")
        lines[-1].append((first, size))
        lines += [[(line, size)] for line in rest]
    return [_line(line) for line in lines if any(text.strip() for text, _ in line)]


def _line(pieces: list[tuple[str, float]]) -> Line:
    size = max(size for text, size in pieces if text.strip())
    return round(2 * size), "".join(text for text, _ in pieces).strip()


def _levels(lines: list[Line]) -> dict[int, int]:
    """Heading level by size. What most characters are set in is the body."""
    used: Counter[int] = Counter()
    for size, text in lines:
        used[size] += len(text)
    body = used.most_common(1)[0][0] if used else 0
    larger = sorted((size for size in used if size > _LARGER * body > 0), reverse=True)
    return {size: min(level, 6) for level, size in enumerate(larger, start=1)}


def _is_wrapped(text: str, width: int) -> bool:
    last = text.rsplit("\n", 1)[-1]
    return len(last) > _WRAPPED * width and not last.endswith((".", "!", "?", ":", ";"))
