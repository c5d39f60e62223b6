"""Small pieces of HTML that the admin's tabs share. Pure; every cell is escaped."""

from collections.abc import Sequence
from typing import Any

from assistant.chat_view import one_line


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> str:
    """A table, or the sentence `empty` when there are no rows."""
    if not rows:
        return f'<p class="note">{one_line(empty)}</p>'
    top = "".join(f'<th scope="col">{one_line(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{one_line(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table class="plain"><tr>{top}</tr>{body}</table></div>'


def facts(pairs: Sequence[tuple[str, Any]]) -> str:
    """Names with their values, one under the other."""
    inside = "".join(
        f"<dt>{one_line(name)}</dt><dd>{one_line(str(value))}</dd>" for name, value in pairs
    )
    return f'<dl class="facts">{inside}</dl>'


def bar(share: float, note: str) -> str:
    """A progress bar with a word on what is being done."""
    percent = round(100 * share)
    return (
        f'<div class="progress"><progress value="{percent}" max="100">{percent}%</progress>'
        f"<span>{percent}% · {one_line(note)}</span></div>"
    )
