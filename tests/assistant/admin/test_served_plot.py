"""The adapters that served, by time."""

from xml.etree import ElementTree

from assistant.admin.served_plot import HEIGHT, WIDTH, served_plot, stretches
from storage.servings import Serving
from tests.assistant.test_drawing import SVG

NOW = "2026-11-23T00:00:00.000Z"


def served(adapter_id, started, undone=None, right=None):
    metrics = {"candidate": {"new wordings": {"right": right, "total": 10}}} if right else {}
    until = f"2026-11-{undone:02}T00:00:00.000Z" if undone else None
    return Serving(adapter_id, f"2026-11-{started:02}T00:00:00.000Z", until, metrics)


ROLLED = [served(1, 2, right=5), served(2, 8, undone=14, right=8)]


def days(found):
    return [(one.adapter_id, start[8:10], end[8:10], how) for one, start, end, how in found]


def test_after_a_rollback_the_former_one_serves_again():
    assert days(stretches(ROLLED, NOW)) == [
        (1, "02", "08", "followed by another"),
        (2, "08", "14", "rolled back"),
        (1, "14", "23", "serves"),
    ]


def test_back_to_the_base_ends_the_last_one():
    assert days(stretches([served(1, 2, undone=9)], NOW)) == [(1, "02", "09", "rolled back")]
    assert stretches([], NOW) == []


def test_each_serving_is_a_line_at_its_share_and_a_rollback_a_cross():
    plot = served_plot(ROLLED, NOW)
    root = ElementTree.fromstring(plot.svg)
    lines = root.findall(f"{SVG}line")
    levels = [float(one.attrib["y1"]) for one in lines if one.attrib["class"] == "served"]
    assert levels[0] == levels[2] > levels[1]
    ends = [float(one.attrib["x2"]) for one in lines if one.attrib["class"] == "served"]
    assert ends == sorted(ends) and ends[-1] <= WIDTH and max(levels) <= HEIGHT
    assert len([one for one in lines if one.attrib["class"] == "back"]) == 2
    assert "adapter 2 from 2026-11-08: 8 of 10 right, rolled back" in root.attrib["aria-label"]
    assert [row[:6] for row in plot.rows][-1] == (1, ROLLED[1].undone_at, None, "serves", 5, 10)


def test_one_that_was_not_judged_is_named_and_not_drawn():
    plot = served_plot([served(1, 2, right=5), served(7, 8)], NOW)
    assert "not judged: 7" in plot.svg and plot.svg.count('class="served"') == 1
    assert plot.rows[1][4:] == (None,) * 5
    assert served_plot([served(7, 8)], NOW).svg == served_plot([], NOW).svg == ""
