"""Thumbs by week as a drawing."""

from xml.etree import ElementTree

from assistant.admin.ratings_plot import HEIGHT, WIDTH, ratings_plot
from storage.overview import RatedWeek
from tests.assistant.test_drawing import SVG


def test_without_thumbs_nothing_is_drawn():
    assert ratings_plot([]).svg == ratings_plot([RatedWeek("2026-11-23", 0, 0)]).svg == ""


def test_bars_are_as_high_as_their_counts_and_within_the_drawing():
    weeks = [RatedWeek("2026-11-16", 10, 5), RatedWeek("2026-11-23", 0, 1)]
    plot = ratings_plot(weeks)
    assert plot.rows == [("2026-11-16", 10, 5), ("2026-11-23", 0, 1)]
    drawing = ElementTree.fromstring(plot.svg)
    bars = drawing.findall(f"{SVG}rect")[3:]  # the first are the paper and the legend's
    assert [bar.attrib["class"] for bar in bars] == ["good", "bad", "bad"]
    first, second, third = (float(bar.attrib["height"]) for bar in bars)
    assert first == 2 * second == 10 * third
    for bar in bars:
        x, y, wide, high = (float(bar.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0 and x + wide <= WIDTH and y >= 0 and y + high <= HEIGHT
    texts = [text.text for text in drawing.findall(f"{SVG}text")]
    assert "16.11." in texts and "23.11." in texts and "10" in texts
