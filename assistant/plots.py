"""A plot: a drawing and the numbers in it, on the page and as two files. Pure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

Form = Literal["svg", "csv"]
FORMS: dict[Form, str] = {"svg": "image/svg+xml", "csv": "text/csv"}
"""What a plot is handed out as, with its media type."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Plot:
    """A drawing in SVG that stands alone, and its numbers; `svg` is '' when there are too few."""

    svg: str
    head: tuple[str, ...] = ()
    rows: Sequence[tuple[Any, ...]] = ()


NOTHING = Plot("")


def as_file(plot: Plot, form: Form) -> str:
    """The text of the file."""
    return f"{plot.svg}\n" if form == "svg" else as_csv(plot)


def as_csv(plot: Plot) -> str:
    """The numbers under their names (RFC 4180), None as nothing.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, by which it is
    shown as text: OWASP, "CSV Injection".
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(plot.head)
    writer.writerows([_cell(value) for value in row] for row in plot.rows)
    return file.getvalue()


def figure(plot: Plot, name: str, **asked: int) -> str:
    """The drawing for the page with links to both files of the plot `name`; '' where it is empty.

    `asked` is what the address names: the round, or the workspace.
    """
    if not plot.svg:
        return ""
    links = " · ".join(
        f'<a href="{address(name, form, **asked)}" download>{form.upper()}</a>' for form in FORMS
    )
    return f'<div class="figure">{plot.svg}<p class="note">Save as {links}</p></div>'


def address(name: str, form: Form, **asked: int) -> str:
    """Where a plot is fetched as a file."""
    return f"/admin/plots/{name}.{form}?{urlencode(asked)}"


def _cell(value: Any) -> Any:
    """Spaces in front do not help a formula, nor does a line's end."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" \n").startswith(_FORMULA) else value
