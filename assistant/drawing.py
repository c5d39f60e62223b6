"""Pieces of SVG for our own plots, so that no plot library runs in the browser. Pure.

Gradio's plots compile their specification in the browser, which the page's policy forbids. Each
piece names its kind as a class, for the page's colours in light and dark, and has light colours as
attributes, which every style sheet overrules: so a drawing is a whole file too.
"""

import re
from collections.abc import Callable, Sequence
from html import escape

Scale = Callable[[float], float]
"""From a value to a place in the drawing."""

PAINT = {
    "paper": 'fill="#ffffff"',
    "said": 'fill="#52606d" font-family="system-ui, sans-serif" font-size="11"',
    "grid": 'stroke="#d5dbe1" stroke-width="1"',
    "curve": 'fill="none" stroke="#0f766e" stroke-width="2"',
    "good": 'fill="#0f766e"',
    "bad": 'fill="#dc6b4a"',
    "before": 'fill="#9aa5b1"',
    "range": 'stroke="#1f2937" stroke-width="1.5"',
    "served": 'stroke="#0f766e" stroke-width="3"',
    "back": 'stroke="#c2410c" stroke-width="2"',
    "passage": 'fill="#9aa5b1" fill-opacity="0.6"',
    "question": 'fill="#ffffff" stroke="#c2410c" stroke-width="1.5"',
    "far": 'fill="#c2410c" stroke="#c2410c" stroke-width="1.5"',
}
"""What each kind looks like on white; `admin.css` has the page's own colours by the same names."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def drawing(kind: str, width: int, height: int, label: str, inside: str) -> str:
    """The whole: `label` is what a screen reader says of it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot {kind}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{said(label)}">'
        f"{bar('paper', 0, 0, width, height)}{inside}</svg>"
    )


def said(text: str) -> str:
    """Anybody's text for the inside of a drawing: escaped, on one line, as XML may have it."""
    return escape(" ".join(_NOT_XML.sub("", text).split()))


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words at a place; `anchor` says which part of them is there: start, middle or end."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="said" {place} {PAINT["said"]}>{said(words)}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float, title: str = "") -> str:
    """From one place to another; `title` is shown where the pointer rests."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="{kind}" {ends} {PAINT[kind]}>{_title(title)}</line>'


def bar(kind: str, x: float, y: float, wide: float, high: float, title: str = "") -> str:
    """A rectangle with its upper left corner at a place."""
    size = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"'
    return f'<rect class="{kind}" {size} {PAINT[kind]}>{_title(title)}</rect>'


def dot(x: float, y: float, radius: float) -> str:
    """A point; its group has the paint."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"></circle>'


def group(kind: str, inside: str, title: str) -> str:
    """Points that belong together."""
    return f'<g class="{kind}" {PAINT[kind]}>{_title(title)}{inside}</g>'


def diamond(kind: str, x: float, y: float, radius: float, title: str = "") -> str:
    """A point that is told from a round one without its colour."""
    corners = (x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)
    path = " ".join(f"{one:.1f},{other:.1f}" for one, other in corners)
    return f'<polygon class="{kind}" points="{path}" {PAINT[kind]}>{_title(title)}</polygon>'


def curve(places: Sequence[tuple[float, float]]) -> str:
    """One line through all places."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="curve" points="{path}" {PAINT["curve"]}></polyline>'


def interval(x: float, low: float, high: float) -> str:
    """From a lower to an upper bound, with a foot at both."""
    feet = (line("range", x - 4, y, x + 4, y) for y in (low, high))
    return line("range", x, low, x, high) + "".join(feet)


def scale(first: float, last: float, start: float, end: float) -> Scale:
    """Values from `first` to `last` on places from `start` to `end`; equal ones are at `start`."""
    span = last - first
    return lambda value: start + ((value - first) / span if span else 0.0) * (end - start)


def levels(y: Scale, values: Sequence[tuple[float, str]], left: float, right: float) -> str:
    """A line across at each value, with its name on the left."""
    return "".join(
        line("grid", left, y(value), right, y(value)) + text(left - 6, y(value) + 4, name, "end")
        for value, name in values
    )


def legend(names: Sequence[tuple[str, str]], x: float = 0.0) -> str:
    """What each kind of bar is, from left to right at the top."""
    parts = []
    for kind, name in names:
        parts.append(bar(kind, x, 2, 10, 10) + text(x + 14, 11, name))
        x += 30 + 6.5 * len(name)
    return "".join(parts)


def _title(words: str) -> str:
    return f"<title>{said(words)}</title>" if words else ""
