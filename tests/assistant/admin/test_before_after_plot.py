"""Before and after a round, as bars."""

from xml.etree import ElementTree

import pytest

from assistant.admin.before_after_plot import HEIGHT, WIDTH, before_after_plot
from tests.assistant.test_drawing import SVG
from tuning.evidence import wilson


def counts(**right):
    return {name.replace("_", " "): {"right": n, "total": 10} for name, n in right.items()}


SCORES = {
    "candidate": counts(sentinel=9, new_wordings=8, extra=1),
    "serving": counts(new_wordings=4, sentinel=10, extra=0),
    "base": counts(new_wordings=0, sentinel=10),
}


def test_two_bars_for_each_kind_of_question_with_their_numbers():
    plot = before_after_plot(SCORES)
    assert [row[:4] for row in plot.rows] == [
        ("New wordings", "before", 4, 10),
        ("New wordings", "after", 8, 10),
        ("General questions", "before", 10, 10),
        ("General questions", "after", 9, 10),
        ("extra", "before", 0, 10),
        ("extra", "after", 1, 10),
    ]
    assert plot.rows[1][4:] == (0.8, *wilson(8, 10))
    root = ElementTree.fromstring(plot.svg)
    bars = [one for one in root.findall(f"{SVG}rect") if one.find(f"{SVG}title") is not None]
    heights = [float(one.attrib["height"]) for one in bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2) and heights[4] == 0
    assert [one.attrib["class"] for one in bars] == ["before", "good"] * 3
    assert bars[1][0].text == "New wordings after: 8 of 10 right, 95% between 49% and 94%"
    for one in bars:
        x, y, wide, high = (float(one.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and x + wide <= WIDTH and y >= 0 and y + high <= HEIGHT
    assert "New wordings before: 4 of 10 right" in root.attrib["aria-label"]


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"candidate": counts(sentinel=1)},
        {"candidate": counts(sentinel=1), "serving": counts(new_wordings=1)},
        {"candidate": {"sentinel": {"right": 0, "total": 0}}, "serving": counts(sentinel=1)},
    ],
)
def test_what_was_not_asked_of_both_is_not_drawn(scores):
    assert before_after_plot(scores).svg == ""
