"""What a round's questions said before it and after it, as bars with intervals. Pure."""

from collections.abc import Mapping
from typing import Any

from assistant.admin.scores import SLICE_NAMES
from assistant.drawing import Scale, bar, drawing, interval, legend, levels, scale, text
from assistant.plots import NOTHING, Plot
from tuning.evidence import wilson

WIDTH, HEIGHT = 420, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 40, 26
BAR = 34
SIDES = {"before": "serving", "after": "candidate"}
"""What served right before (the base model, where that did), and what the round made."""
PAINTS = {"before": "before", "after": "good"}
NAMED = (("before", "before"), ("good", "after, with the 95% interval"))


def before_after_plot(scores: Mapping[str, Any]) -> Plot:
    """The share right of each kind of question (`row -> slice -> {"right", "total"}`).

    NOTHING where the two were not asked the same. The interval counts each question alone, and
    wordings of one need are right or wrong together: it is no proof, and the gate goes by needs.
    """
    before, after = (scores.get(row) or {} for row in SIDES.values())
    both = [name for name in after if after[name]["total"] and name in before]
    known = [name for name in SLICE_NAMES if name in both]
    slices = [*known, *(name for name in both if name not in known)]
    if not slices:
        return NOTHING
    rows = [
        (_name(name), side, *_measured(scores[row][name]))
        for name in slices
        for side, row in SIDES.items()
    ]
    y = scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - LEFT - RIGHT) / len(slices)
    across = levels(y, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")], LEFT, WIDTH - RIGHT)
    drawn = "".join(
        _side(row, LEFT + (place // 2 + 0.5) * step, y) for place, row in enumerate(rows)
    )
    label = ", ".join(f"{row[0]} {row[1]}: {row[2]} of {row[3]} right" for row in rows)
    return Plot(
        drawing("before-after", WIDTH, HEIGHT, label, legend(NAMED, LEFT) + across + drawn),
        ("questions", "when", "right", "of", "share", "low", "high"),
        rows,
    )


def _measured(count: Mapping[str, int]) -> tuple[int, int, float, float, float]:
    right, total = count["right"], count["total"]
    return right, total, right / total, *wilson(right, total)


def _side(row: tuple[Any, ...], middle: float, y: Scale) -> str:
    """One bar left or right of the middle, its interval, its number; the name once, below."""
    name, side, right, total, share, low, high = row
    centre = middle + (-1 if side == "before" else 1) * (BAR / 2 + 2)
    title = f"{name} {side}: {right} of {total} right, 95% between {low:.0%} and {high:.0%}"
    once = text(middle, HEIGHT - 8, name, "middle") if side == "before" else ""
    return (
        bar(PAINTS[side], centre - BAR / 2, y(share), BAR, y(0.0) - y(share), title)
        + interval(centre, y(low), y(high))
        + text(centre, y(high) - 5, f"{right}/{total}", "middle")
        + once
    )


def _name(slice: str) -> str:
    return SLICE_NAMES.get(slice, slice)
