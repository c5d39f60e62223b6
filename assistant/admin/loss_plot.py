"""The loss of a round as a small drawing: SVG made here, so no plot library runs in the browser."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 560, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 28


def loss_plot(points: Sequence[tuple[int, float]]) -> str:
    """(step, loss) pairs as one line of SVG; '' for fewer than two finite ones."""
    points = [(step, loss) for step, loss in points if math.isfinite(loss)]
    if len(points) < 2:
        return ""
    first, last = points[0][0], points[-1][0]
    top = max(loss for _, loss in points) or 1.0
    line = " ".join(f"{_x(step, first, last):.1f},{_y(loss, top):.1f}" for step, loss in points)
    return (
        f'<svg class="loss" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Loss by step, now {points[-1][1]:.3f}">'
        f"{_grid(top)}{_steps(first, last)}"
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="2"></polyline>'
        "</svg>"
    )


def _x(step: int, first: int, last: int) -> float:
    return LEFT + (step - first) / max(1, last - first) * (WIDTH - LEFT - RIGHT)


def _y(loss: float, top: float) -> float:
    return TOP + (1 - loss / top) * (HEIGHT - TOP - BOTTOM)


def _grid(top: float) -> str:
    """Three levels with their loss."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _y(share * top, top)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"></line>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * top:.2f}</text>'
        )
    return "".join(parts)


def _steps(first: int, last: int) -> str:
    y = HEIGHT - 8
    return (
        f'<text x="{LEFT}" y="{y}">step {first}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">step {last}</text>'
    )
