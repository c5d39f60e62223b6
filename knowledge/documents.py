"""A file of any format we know becomes sections: text under headings."""

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from knowledge.sections import DocumentTextless, DocumentUnreadable, Part, Section, outline

__all__ = ["MEDIA_TYPES", "DocumentUnreadable", "Section", "media_type_of", "read_document"]

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""What can be read, by the end of the file's name."""

MOST_TEXT_BYTES = 20_000_000
MOST_BYTES = 200_000_000
IN_PROCESS = 200_000
"""Characters of HTML or Markdown that are read here: the worst take 2 s, a child 1 s always."""

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)


def media_type_of(name: str, suffix: str | None = None) -> str:
    """The media type by `suffix`, or else by the end of `name`.

    DocumentUnreadable for one that we cannot read.
    """
    suffix = suffix or Path(name).suffix.lower()
    if suffix not in MEDIA_TYPES:
        raise DocumentUnreadable(
            f"The document {name!r} is of an unknown type: known are {', '.join(MEDIA_TYPES)}."
        )
    return MEDIA_TYPES[suffix]


def read_document(
    path: Path, *, name: str | None = None, suffix: str | None = None
) -> list[Section]:
    """The sections of a file, in reading order; `name` is what to call it (default: its own).

    The type goes by `suffix`, such as ".md", or else by the end of `name`. PDF, DOCX and long
    HTML and Markdown are read in a child process with limits. Raises DocumentUnreadable for a file
    that is missing, empty, encrypted, damaged, too large, of an unknown type or encoding.
    """
    name = name or path.name
    suffix = suffix or Path(name).suffix.lower()
    media_type_of(name, suffix)
    size = _size(path, name)
    if size == 0:
        raise DocumentUnreadable(f"The document {name!r} is empty: there is nothing to ingest.")
    if suffix in (".pdf", ".docx"):
        parts = _unpacked(path, suffix, name, size)
    else:
        parts = _written(path, suffix, name, size)
    sections = outline(parts)
    if not sections:
        raise DocumentTextless(f"The document {name!r} holds no text: there is nothing to ingest.")
    return sections


def _size(path: Path, name: str) -> int:
    if not path.is_file():
        raise DocumentUnreadable(f"The document {name!r} is no file: check its path.")
    return path.stat().st_size


def _unpacked(path: Path, suffix: str, name: str, size: int) -> list[Part]:
    from knowledge.unpacking import unpack

    _check_size(name, size, MOST_BYTES)
    return unpack(path, suffix, name)


def _written(path: Path, suffix: str, name: str, size: int) -> list[Part]:
    _check_size(name, size, MOST_TEXT_BYTES)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentUnreadable(
            f"The document {name!r} cannot be read ({error.strerror}): check the rights on it."
        ) from error
    if suffix == ".txt":
        return [(0, _decoded(data, name))]
    # late: trafilatura takes 0.2 s to import
    from knowledge.markup import html_parts, markdown_parts
    from knowledge.unpacking import unpack

    parts_of: Callable[[str], list[Part]] = html_parts
    if suffix in (".md", ".markdown"):
        parts_of, charset = markdown_parts, None
    else:
        charset = _CHARSET.search(data[:4096])
    text = _decoded(data, name, charset[1].decode("ascii") if charset else None)
    return parts_of(text) if len(text) <= IN_PROCESS else unpack(path, suffix, name, text)


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise DocumentUnreadable(
            f"The document {name!r} has {size / 1e6:.0f} MB, {most / 1e6:.0f} MB is the most: "
            "split it into smaller files."
        )


def _decoded(data: bytes, name: str, declared: str | None = None) -> str:
    marked = next((code for mark, code in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    for encoding in filter(None, (marked, "utf-8", declared)):
        try:
            text = data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return text
    raise DocumentUnreadable(f"The document {name!r} is not UTF-8 text: save it as UTF-8.")
