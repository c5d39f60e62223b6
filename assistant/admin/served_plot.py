"""What the adapters that served had right, by the time that each served. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from assistant.admin.scores import candidate_on
from assistant.drawing import Scale, drawing, interval, levels, line, scale, text
from assistant.plots import NOTHING, Plot
from storage.servings import Serving, serving_at
from tuning.evidence import wilson

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 40, 26
INSET = 28
"""Room for the number at the first and the last promotion."""
KIND = "new wordings"
"""What every round keeps back, so what adapters can be compared by."""
HEAD = ("adapter", "from", "until", "became", "right", "of", "share", "low", "high")
Stretch = tuple[Serving, str, str, str]
"""What served, from when until when, and what became of it."""


def served_plot(found: Sequence[Serving], now: str) -> Plot:
    """One line for each time that an adapter served, at its share right; crosses: rolled back.

    `now` ends the last one. Each was judged by its own round's questions, so two shares are not of
    the same ones. NOTHING where none that served was judged.
    """
    served = stretches(found, now)
    judged = [one for one in served if candidate_on(one[0].metrics, KIND)]
    if not judged:
        return NOTHING
    right = WIDTH - RIGHT
    x = scale(_seconds(served[0][1]), _seconds(now), LEFT + INSET, right - INSET)
    y = scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    rows = [_row(one) for one in served]
    unjudged = list(dict.fromkeys(str(row[0]) for row in rows if row[4] is None))
    without = f"; not judged: {', '.join(unjudged)}" if unjudged else ""
    inside = (
        text(LEFT, 12, f"Right of the wordings kept out, by adapter, 95% intervals{without}")
        + levels(y, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")], LEFT, right)
        + text(LEFT, HEIGHT - 8, served[0][1][:10])
        + text(right, HEIGHT - 8, now[:10], "end")
        + "".join(_drawn(one, x, y) for one in judged)
    )
    label = ", ".join(_told(row) for row in rows)
    return Plot(drawing("served", WIDTH, HEIGHT, label, inside), HEAD, rows)


def stretches(found: Sequence[Serving], now: str) -> list[Stretch]:
    """What served one after the other: promoted over, rolled back, or serving until now."""
    known = list(found)
    moments = {one.started_at for one in known} | {one.undone_at for one in known if one.undone_at}
    ordered = [*sorted(moment for moment in moments if moment < now), now]
    served: list[Stretch] = []
    for start, end in zip(ordered, ordered[1:], strict=False):
        one = serving_at(known, start)
        if one is None:
            continue
        if end == now:
            became = "serves"
        else:
            became = "rolled back" if one.undone_at == end else "followed by another"
        if served and served[-1][0] is one and served[-1][2] == start:
            start = served.pop()[1]  # nothing that was seen happened between
        served.append((one, start, end, became))
    return served


def _row(one: Stretch) -> tuple[Any, ...]:
    serving, start, end, became = one
    count = candidate_on(serving.metrics, KIND)
    until = None if became == "serves" else end
    if count is None:
        return serving.adapter_id, start, until, became, None, None, None, None, None
    right, total = count["right"], count["total"]
    bounds = wilson(right, total)
    return serving.adapter_id, start, until, became, right, total, right / total, *bounds


def _told(row: tuple[Any, ...]) -> str:
    had = "not judged" if row[4] is None else f"{row[4]} of {row[5]} right"
    return f"adapter {row[0]} from {row[1][:10]}: {had}, {row[3]}"


def _drawn(one: Stretch, x: Scale, y: Scale) -> str:
    row = _row(one)
    (_, start, end, became), (share, low, high) = one, row[6:]
    begins, ends, level = x(_seconds(start)), x(_seconds(end)), y(share)
    parts = [
        line("served", begins, level, max(ends, begins + 2), level, _told(row)),
        interval(begins, y(low), y(high)),
        text(begins, y(high) - 5, f"{row[0]}: {row[4]}/{row[5]}", "middle"),
    ]
    if became == "rolled back":
        for slope in (5, -5):
            parts.append(line("back", ends - 5, level - slope, ends + 5, level + slope, _told(row)))
    return "".join(parts)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
