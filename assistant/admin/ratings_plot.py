"""Thumbs by week as bars. Pure."""

from collections.abc import Sequence

from assistant.drawing import Scale, bar, drawing, legend, scale, text
from assistant.plots import NOTHING, Plot
from storage.overview import RatedWeek

WIDTH, HEIGHT = 640, 190
TOP, BOTTOM = 34, 28
BAR = 22


def ratings_plot(weeks: Sequence[RatedWeek]) -> Plot:
    """Two bars a week, good and bad, with their numbers; NOTHING when nobody rated anything."""
    most = max((max(week.up, week.down) for week in weeks), default=0)
    if not most:
        return NOTHING
    said = ", ".join(f"week of {week.week}: {week.up} good, {week.down} bad" for week in weeks)
    step, high = WIDTH / len(weeks), scale(0, most, 0, HEIGHT - TOP - BOTTOM)
    drawn = "".join(_week(week, place * step, step, high) for place, week in enumerate(weeks))
    named = legend([("good", "good"), ("bad", "bad, by week")])
    return Plot(
        drawing("ratings", WIDTH, HEIGHT, said, named + drawn),
        ("week of", "good", "bad"),
        [(week.week, week.up, week.down) for week in weeks],
    )


def _week(week: RatedWeek, left: float, step: float, high: Scale) -> str:
    middle = left + step / 2
    day = f"{week.week[8:]}.{week.week[5:7]}."
    return (
        _counted("good", middle - BAR - 1, week.up, high)
        + _counted("bad", middle + 1, week.down, high)
        + text(middle, HEIGHT - 8, day, "middle")
    )


def _counted(kind: str, x: float, count: int, high: Scale) -> str:
    if not count:
        return ""
    tall = max(2.0, high(count))
    y = HEIGHT - BOTTOM - tall
    return bar(kind, x, y, BAR, tall) + text(x + BAR / 2, y - 4, str(count), "middle")
