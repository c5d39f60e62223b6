"""The loss of a round as a drawing."""

import math
import re
from xml.etree import ElementTree

import pytest

from assistant.admin.loss_plot import HEIGHT, WIDTH, loss_plot
from tests.assistant.test_drawing import SVG


def points_of(drawing: str) -> list[tuple[float, float]]:
    line = ElementTree.fromstring(drawing).find(f"{SVG}polyline")
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]


@pytest.mark.parametrize("points", [[], [(1, 0.5)], [(1, math.nan), (2, math.inf), (3, 1.0)]])
def test_too_little_to_draw_is_nothing(points):
    assert loss_plot(points).svg == ""


def test_a_falling_loss_falls_from_left_to_right_within_the_drawing():
    found = points_of(loss_plot([(1, 2.0), (5, 1.0), (9, 0.0)]).svg)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    assert [y for _, y in found] == sorted(y for _, y in found)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)


def test_what_is_not_a_number_is_left_out():
    plot = loss_plot([(1, 2.0), (2, math.nan), (3, 1.0)])
    assert len(points_of(plot.svg)) == 2
    assert (plot.head, plot.rows) == (("step", "Loss"), [(1, 2.0), (3, 1.0)])


def test_a_flat_or_zero_loss_can_be_drawn():
    assert len(points_of(loss_plot([(1, 0.0), (2, 0.0)]).svg)) == 2
    assert len(points_of(loss_plot([(3, 0.7), (3, 0.7)]).svg)) == 2


def test_it_says_in_words_how_the_loss_is_now():
    assert re.search(r'aria-label="Loss by step, now 0\.25"', loss_plot([(1, 2.0), (9, 0.25)]).svg)
    rate = loss_plot([(1, 2e-4), (9, 1e-5)], "Rate").svg
    assert 'aria-label="Rate by step, now 1e-05"' in rate and ">0.0002<" in rate
