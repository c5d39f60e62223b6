"""A plot as two files: no cell of a table runs as a formula."""

import csv
import io

import pytest

from assistant.plots import NOTHING, Plot, as_csv, as_file, figure


def cells(*values):
    return list(csv.reader(io.StringIO(as_csv(Plot("", ("a",), [values])))))[1]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=HYPERLINK(1)"]
)
def test_a_formula_is_shown_as_text(text):
    assert cells(text) == [f"'{text}"]


def test_numbers_and_other_texts_are_as_they_are():
    assert cells(-1, 0.5, None, "a, b", 'say "x"', "a=b", "") == [
        *("-1", "0.5", "", "a, b", 'say "x"', "a=b", ""),
    ]


def test_files():
    plot = Plot("<svg></svg>", ("step", "Loss"), [(1, 2.0)])
    assert as_file(plot, "svg") == "<svg></svg>\n"
    assert as_file(plot, "csv") == "step,Loss\r\n1,2.0\r\n"


def test_a_figure_has_both_links():
    shown = figure(Plot("<svg></svg>"), "loss", round=5)
    assert 'href="/admin/plots/loss.svg?round=5" download>SVG<' in shown
    assert 'href="/admin/plots/loss.csv?round=5" download>CSV<' in shown
    assert figure(NOTHING, "loss", round=5) == ""
