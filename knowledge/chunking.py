"""Sections to chunks: pieces of text small enough to be found and shown. Pure."""

from collections.abc import Callable, Sequence

from semantic_text_splitter import TextSplitter

from knowledge.sections import Section


def split_into_chunks(
    sections: Sequence[Section],
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int = 96,
    overlap: int = 16,
) -> list[tuple[str, str]]:
    """(heading, text) of each chunk, in reading order; no word of the sections is lost.

    A chunk never spans two sections and has at most `max_tokens` tokens with its heading; it ends
    at the highest boundary that fits (paragraph, line, sentence, word), and repeats up to
    `overlap` tokens of the one before it. A heading longer than half a chunk counts as text.
    """
    chunks = []
    for section in sections:
        heading, text = section.heading, section.text
        taken = count_tokens(heading) if heading else 0
        if heading and (not text or 2 * taken > max_tokens):
            heading, text, taken = "", f"{heading}\n{text}".strip(), 0
        room = max_tokens - taken
        splitter = TextSplitter.from_callback(count_tokens, room, min(overlap, room // 2))
        chunks += [(heading, piece) for piece in splitter.chunks(text)]
    return chunks
