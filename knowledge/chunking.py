"""Sections to chunks: pieces of text small enough to be found and shown. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from knowledge.sections import Section

_WORD = re.compile(r"\S+\s*")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*\s*\Z")


def split_into_chunks(
    sections: Sequence[Section],
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int = 96,
    overlap: int = 16,
) -> list[tuple[str, str]]:
    """(heading, text) of each chunk, in reading order; no word of the sections is lost.

    A chunk never spans two sections and has at most `max_tokens` tokens with its heading. It is
    at least half full where the section goes on, ends with a paragraph, line, sentence or word
    (the first of these that it can), and repeats the last words of the one before it, up to
    `overlap` tokens. A heading longer than half a chunk counts as text. A word longer than a chunk
    is cut. Texts are counted word by word: exact for WordPiece, nearly so for other tokenizers.
    """
    chunks: list[tuple[str, str]] = []
    for section in sections:
        heading, text = section.heading, section.text.strip()
        taken = count_tokens(heading)
        if heading and (not text or 2 * taken > max_tokens):
            heading, text, taken = "", f"{heading}\n{text}".strip(), 0
        room = max(1, max_tokens - taken)
        chunks += [(heading, piece) for piece in _pieces(text, count_tokens, room, overlap)]
    return chunks


def _pieces(
    text: str, count_tokens: Callable[[str], int], room: int, overlap: int
) -> Iterator[str]:
    words = [part for word in _WORD.findall(text) for part in _fit(word, count_tokens, room)]
    # ends[n] is the number of tokens before word n
    ends = [0, *accumulate(count_tokens(word) for word in words)]
    start = end = 0
    while end < len(words):
        start = _start(ends, start, end, room, min(overlap, room // 2))
        end = _end(words, ends, start, end, room)
        yield "".join(words[start:end]).strip()


def _start(ends: list[int], before: int, end: int, room: int, overlap: int) -> int:
    """Where the next piece begins: up to `overlap` tokens before the `end` of the one before.

    Less where the next word would not fit beside them.
    """
    most = min(overlap, room - (ends[end + 1] - ends[end]))
    start = end
    while start > before and ends[end] - ends[start - 1] <= most:
        start -= 1
    return start


def _end(words: list[str], ends: list[int], start: int, after: int, room: int) -> int:
    """The best place to end a piece of at most `room` tokens, after word number `after`."""
    last = after + 1
    while last < len(words) and ends[last + 1] - ends[start] <= room:
        last += 1
    if last == len(words):
        return last
    half_full = [n for n in range(after + 1, last + 1) if 2 * (ends[n] - ends[start]) >= room]
    return max(half_full or [last], key=lambda n: (_strength(words[n - 1]), n))


def _strength(word: str) -> int:
    """How good it is to end after this word, which has its spaces with it."""
    if word.count("\n") > 1:
        return 3
    return 2 if "\n" in word else int(bool(_SENTENCE_END.search(word)))


def _fit(word: str, count_tokens: Callable[[str], int], room: int) -> list[str]:
    if len(word) < 2 or count_tokens(word) <= room:
        return [word]
    middle = len(word) // 2
    return [
        *_fit(word[:middle], count_tokens, room),
        *_fit(word[middle:], count_tokens, room),
    ]
