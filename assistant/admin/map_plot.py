"""The map of documents and open questions: points, and in words what lies far. Pure."""

from collections.abc import Iterable
from itertools import groupby

from assistant.admin.tables import table
from assistant.drawing import Scale, diamond, dot, drawing, group, scale, text
from assistant.plots import NOTHING, Plot
from knowledge.document_map import DocumentMap, Placed, Question

WIDTH, HEIGHT = 640, 440
EDGE, TOP = 16, 34
FAR = 10
"""Questions with a number, in the picture and in the table."""
NEAR_MEANS = (
    "Each dot is a passage, each diamond a question that was not answered well; the numbered ones "
    "are farthest from every document. Near means alike in meaning, as the search takes it."
)
HEAD = ("what", "number", "text", "x", "y", "nearest document", "similarity")


def map_plot(found: DocumentMap) -> Plot:
    """Passages in grey, questions as diamonds, the FAR farthest full and numbered.

    NOTHING where there are fewer than three points to place.
    """
    points: list[Placed | Question] = [*found.passages, *found.questions]
    if len(points) < 3:
        return NOTHING
    x, y = _scales(points)
    inside = (
        text(0, 11, "dots: passages; diamonds: questions; numbered: farthest from every document")
        + "".join(
            group("passage", "".join(dot(x(one.x), y(one.y), 2.5) for one in same), document)
            for document, same in groupby(
                sorted(found.passages, key=lambda one: one.document), lambda one: one.document
            )
        )
        # the farthest last, so that they lie on top
        + "".join(
            _asked(number, one, x, y) for number, one in reversed([*enumerate(found.questions, 1)])
        )
    )
    label = f"{counted(found)} The table below the picture names the questions farthest away."
    return Plot(drawing("map", WIDTH, HEIGHT, label, inside), HEAD, [*_rows(found)])


def counted(found: DocumentMap) -> str:
    """What is on the map, of how much, and what a plane cannot show."""
    return (
        f"{_of(len(found.passages), found.all_passages)} passages and "
        f"{_of(len(found.questions), found.all_questions)} questions. "
        f"The two dimensions show {found.shown:.0%} of the differences: what lies together here "
        "may still be far apart."
    )


def farthest(found: DocumentMap) -> str:
    """The questions that are farthest from every document, by all dimensions, as a table."""
    rows = [
        (number, one.text, one.nearest, f"{one.similarity:.2f}")
        for number, one in enumerate(found.questions[:FAR], start=1)
    ]
    head = ("No.", "Question", "Nearest document", "Similarity")
    return table(head, rows, empty="No question is open.")


def _scales(points: Iterable[Placed | Question]) -> tuple[Scale, Scale]:
    """One measure for both directions: a distance means the same whichever way it goes."""
    across, along = ([getattr(one, axis) for one in points] for axis in ("x", "y"))
    wide, high = max(across) - min(across), max(along) - min(along)
    room = WIDTH - 2 * EDGE, HEIGHT - TOP - EDGE
    both = zip(room, (wide, high), strict=True)
    least = min((size / span for size, span in both if span > 0), default=1.0)
    left, below = (WIDTH - wide * least) / 2, HEIGHT - EDGE - (room[1] - high * least) / 2
    return (
        scale(min(across), max(across), left, left + wide * least),
        scale(min(along), max(along), below, below - high * least),
    )


def _asked(number: int, one: Question, x: Scale, y: Scale) -> str:
    far = number <= FAR
    title = f"{one.text} (nearest: {one.nearest}, {one.similarity:.2f})"
    drawn = diamond("far" if far else "question", x(one.x), y(one.y), 5, title)
    return drawn + (text(x(one.x) + 8, y(one.y) + 4, str(number)) if far else "")


def _rows(found: DocumentMap) -> Iterable[tuple[str | int | float | None, ...]]:
    for number, one in enumerate(found.questions, start=1):
        yield "question", number, one.text, one.x, one.y, one.nearest, one.similarity
    for placed in found.passages:
        yield "passage", None, placed.document, placed.x, placed.y, None, None


def _of(shown: int, all: int) -> str:
    return f"{shown:,}" if shown == all else f"{shown:,} of {all:,}"
