"""What was said against what was wanted, word by word. Pure."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
MOST_WORDS = 3000
"""Longer texts are compared by lines: the comparison is quadratic."""


def mark_changes(said: str, wanted: str) -> tuple[str, str]:
    """Both texts as one-line HTML, with `<del>` around what went and `<ins>` around what came."""
    unit = _LINE if len(said) + len(wanted) > 8 * MOST_WORDS else _WORD
    left, right = "", ""
    for old, new, changed in _runs(unit.findall(said), unit.findall(wanted)):
        left += _marked("del", old, changed)
        right += _marked("ins", new, changed)
    return left, right


def plain_changes(was: str, now: str) -> str:
    """One text for a terminal, as `git diff --word-diff` has it: [-what went-]{+what came+}."""
    unit = _LINE if len(was) + len(now) > 8 * MOST_WORDS else _WORD
    return "".join(
        (f"[-{old}-]" if old else "") + (f"{{+{new}+}}" if new else "") if changed else old
        for old, new, changed in _runs(unit.findall(was), unit.findall(now))
    )


def _runs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Stretches of both texts, changed or the same; a space between two changes is changed too."""
    was, now = "", ""
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = "".join(old[a:b]), "".join(new[c:d])
        if kind != "equal" or (was or now) and before.isspace():
            was, now = was + before, now + after
            continue
        if was or now:
            yield was, now, True
            was, now = "", ""
        yield before, after, False
    if was or now:
        yield was, now, True


def _marked(tag: str, text: str, changed: bool) -> str:
    # newlines as references: a blank line would end the HTML block in Markdown
    shown = escape(text).replace("\r", "").replace("\n", "&#10;")
    return f"<{tag}>{shown}</{tag}>" if changed and shown else shown
