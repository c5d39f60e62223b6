"""Events as a person or a program reads them: results on stdout, progress and warnings on stderr.

Stored text may come from strangers, so control characters are shown as signs: a comment in the
feedback queue must not be able to drive the reviewer's terminal.
"""

import json
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from storage.text import clean

Row = dict[str, Any]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
CELL = 60
"""Characters of one table cell at most."""
EVERY_S = 10.0
"""Seconds between two progress lines when stderr is no terminal."""
BAR = 24
"""Characters of the progress bar."""


@dataclass(frozen=True)
class Show:
    """How the results of one verb look. Without `columns` each result is printed by `text`."""

    columns: tuple[str, ...] = ()
    empty: str = ""
    """What a table without rows says."""
    text: Callable[[Row], str] | None = None
    after: Callable[[Row], str] | None = None
    """Instead of `text` when the answer was already printed piece by piece."""
    array: bool = False
    """`--json` prints one array; otherwise one document a line."""


class Printer:
    """Prints the events of one verb; `close` prints what had to wait for the last."""

    def __init__(self, show: Show, *, json_wanted: bool) -> None:
        self._show = show
        self._json = json_wanted
        self._rows: list[Row] = []
        self._bar_open = False
        self._said: list[str] = []
        self._last_note = ""
        self._last_time = 0.0

    def event(self, event: Row) -> None:
        """Print an event, or keep it for `close`."""
        if "progress" in event:
            self.progress(event["progress"], str(event.get("note", "")))
        elif "warning" in event:
            self.leave_bar()
            print(f"warning: {plain(event['warning'])}", file=sys.stderr, flush=True)
        elif "delta" in event:
            self._delta(event["delta"])
        else:
            self._result(event)

    def progress(self, part: float | None, note: str) -> None:
        """A bar that stays on one line of a terminal; elsewhere a line now and then."""
        note = plain(note).replace("\n", " ")
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\x1b[K" + f"{bar(part)} {note}"[:width])
            sys.stderr.flush()
            self._bar_open = True
        elif note != self._last_note and time.monotonic() - self._last_time > EVERY_S:
            print(f"{bar(part)} {note}", file=sys.stderr, flush=True)
            self._last_note, self._last_time = note, time.monotonic()

    def close(self) -> None:
        """Print what was kept: a table, or the one JSON array."""
        self.leave_bar()
        if self._json and self._show.array:
            print(as_json(self._rows))
        elif self._show.columns and not self._json:
            print(table(self._rows, self._show.columns) if self._rows else self._show.empty)
        sys.stdout.flush()

    def leave_bar(self) -> None:
        """Clear the progress bar, so that what follows starts on a line of its own."""
        if self._bar_open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._bar_open = False

    def _delta(self, text: str) -> None:
        if self._json:
            return
        self.leave_bar()
        sys.stdout.write(plain(text if self._said else text.lstrip()))
        sys.stdout.flush()
        self._said.append(text)

    def _result(self, row: Row) -> None:
        self.leave_bar()
        if self._json and not self._show.array:
            print(as_json(row), flush=True)
        elif self._json or self._show.columns:
            self._rows.append(row)
        elif self._said and self._show.after:
            print("\n" + plain(self._show.after(row)), flush=True)
        else:
            print(plain((self._show.text or fields)(row)), flush=True)


def plain(value: object) -> str:
    """Text without control characters other than newline and tab."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))


def as_json(value: object) -> str:
    """One line of JSON, readable in any script."""
    return clean(json.dumps(value, ensure_ascii=False, default=str))


def bar(part: float | None) -> str:
    """`[######..] 25%`, or nothing when nobody knows how far it is."""
    if part is None:
        return "..."
    part = min(max(part, 0.0), 1.0)
    full = round(BAR * part)
    return f"[{'#' * full}{'.' * (BAR - full)}] {part:4.0%}"


def fields(row: Row) -> str:
    """A line per value, the names in one column; nested values as JSON."""
    width = max(len(name) for name in row) + 1
    return "\n".join(
        f"{name.replace('_', ' ') + ':':<{width}} {_value(value)}" for name, value in row.items()
    )


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Rows under their column names; numbers to the right, long text cut."""
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    heads = [name.replace("_", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    numbers = [all(_is_number(row.get(name)) for row in rows) for name in columns]
    lines = [heads, *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _cell(value: object) -> str:
    return textwrap.shorten(plain(_value(value)), CELL, placeholder="...")


def _value(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | dict):
        return as_json(value)
    return str(value)
