"""What was measured at each step, or of each round, as one line. Pure."""

import math
from collections.abc import Sequence

from assistant.admin.scores import candidate_on
from assistant.drawing import curve, drawing, levels, scale, text
from assistant.plots import NOTHING, Plot
from storage.records import TuningRound

WIDTH, HEIGHT = 560, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 28
CURVES = {
    "loss": ("loss", "Loss"),
    "rate": ("learning_rate", "Rate"),
    "learned": ("learned", "Pairs learned"),
}
"""Plot -> what a round notes at each step, and how that is called."""


def loss_plot(points: Sequence[tuple[int, float]], name: str = "Loss", by: str = "step") -> Plot:
    """(step, value) pairs; NOTHING for fewer than two finite ones."""
    points = [(step, loss) for step, loss in points if math.isfinite(loss)]
    if len(points) < 2:
        return NOTHING
    first, last = points[0][0], points[-1][0]
    top = max(loss for _, loss in points) or 1.0
    right = WIDTH - RIGHT
    x = scale(first, last, LEFT, right)
    y = scale(0.0, top, HEIGHT - BOTTOM, TOP)
    inside = (
        text(LEFT + 6, TOP + 4, name)
        + levels(y, [(part * top, f"{part * top:.2g}") for part in (0, 0.5, 1)], LEFT, right)
        + text(LEFT, HEIGHT - 8, f"{by} {first}")
        + text(right, HEIGHT - 8, f"{by} {last}", "end")
        + curve([(x(step), y(loss)) for step, loss in points])
    )
    label = f"{name} by {by}, now {points[-1][1]:.3g}"
    return Plot(drawing("loss", WIDTH, HEIGHT, label, inside), (by, name), points)


def right_by_round(newest_first: Sequence[TuningRound]) -> Plot:
    """What each round's adapter got right of new wordings, in percent, from round to round.

    Without rounds that were trained again to compare.
    """
    points = [
        (item.id, 100 * found["right"] / found["total"])
        for item in reversed(newest_first)
        if "blames" not in item.config
        and (found := candidate_on(item.scores.get("scores") or {}, "new wordings"))
    ]
    return loss_plot(points, "Right of the wordings kept out, in percent", "round")
