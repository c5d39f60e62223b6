"""Anybody's text as Markdown in which nothing is HTML, an image or a diagram. Pure.

Gradio hands raw HTML in Markdown to a sanitiser that keeps forms, buttons, styles, ids and classes:
enough to cover the page, to lock it as an open panel does, or to look like an approved correction.
Here a `<` that would begin a tag gets an invisible character behind it, which neither Markdown nor
HTML takes for a part of one: so it is shown as it was typed, in code too, whose bounds nobody has
to guess. An image becomes a link: loading it would tell its server what was read.
"""

import re
from collections.abc import Sequence

JOINER = "\u2060"
"""The word joiner: no width, and no line is broken there. `ui/chat.js` takes it out of copies."""

# autolinks stay, and what models write into tables and sums: these three take no attribute
_TAG = re.compile(r"<(?=[a-z/!?])(?!https?://[^\s<>\"'`]*>)(?!(?:br ?/?|/?sub|/?sup)>)", re.I)
_IMAGE = re.compile(r"!(?=\[)")
_DIAGRAM = re.compile(r"([`~]{3,})(?=[^\S\n]*mermaid)", re.I)
_JOINED = re.compile(f"(?<=[<!`~]){JOINER}")


def plain_markdown(text: str, maths: Sequence[tuple[str, str]] = ()) -> str:
    """The text for Gradio's Markdown; `maths` are the pairs that a formula stands between.

    In a formula a space goes behind the `<`, where it has no width.
    """
    for left, right in maths:
        formula = re.compile(f"{re.escape(left)}[\\s\\S]+?{re.escape(right)}")
        text = formula.sub(lambda found: _TAG.sub("< ", found[0]), text)
    text = _TAG.sub(f"<{JOINER}", text)
    text = _DIAGRAM.sub(rf"\g<1>{JOINER}", text)
    return _IMAGE.sub(f"!{JOINER}", text)


def as_typed(text: str) -> str:
    """Such a text that the page sends back, without what was put into it."""
    return _JOINED.sub("", text)
