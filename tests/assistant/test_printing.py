"""What people and programs see of a verb's events."""

import io
import json
import sys

import pytest

from assistant.printing import Printer, Show, as_json, bar, fields, plain, table


def test_control_characters_of_strangers_do_not_reach_the_terminal():
    assert plain("a\x1b[2Jb\x9bc\r\x00\ud800d\te\n") == "a�[2Jb�c���d\te\n"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "..."),
        (0.0, "[........................]   0%"),
        (0.5, "[############............]  50%"),
        (7.0, "[########################] 100%"),
    ],
)
def test_bar(part, text):
    assert bar(part) == text


def test_table_cuts_long_cells_and_sets_numbers_right():
    rows = [{"name": "a", "count": 5, "why": "x " * 90}, {"name": "long name", "count": None}]
    head, first, second = table(rows, ("name", "count", "why")).splitlines()
    assert head.split() == ["name", "count", "why"]
    assert first.startswith("a              5  x x") and first.endswith("...")
    assert len(first) < 90
    assert second == "long name      -  -"


def test_fields_line_up_and_say_yes_no_and_dash():
    assert fields({"a": True, "long_name": "", "c": [1], "d": 0.25}).splitlines() == [
        "a:         yes",
        "long name: -",
        "c:         [1]",
        "d:         0.25",
    ]


def test_json_is_one_line_in_any_script():
    assert as_json({"a": "größe\n\ud800"}) == '{"a": "größe\\n�"}'


def test_results_go_to_stdout_and_the_rest_to_stderr(capsys):
    printer = Printer(Show(), json_wanted=True)
    events = ({"progress": 0.5, "note": "half"}, {"warning": "careful"}, {"delta": "x"}, {"a": 1})
    for event in events:
        printer.event(event)
    printer.close()
    out, err = capsys.readouterr()
    assert out == '{"a": 1}\n'
    assert err.splitlines() == [f"{bar(0.5)} half", "warning: careful"]


def test_one_array_even_when_it_is_empty(capsys):
    printer = Printer(Show(array=True), json_wanted=True)
    printer.close()
    assert json.loads(capsys.readouterr().out) == []


def test_empty_table_says_what_to_do(capsys):
    printer = Printer(Show(columns=("a",), empty="Nothing yet."), json_wanted=False)
    printer.close()
    assert capsys.readouterr().out == "Nothing yet.\n"


def test_answer_is_printed_as_it_is_made_and_not_again(capsys):
    show = Show(text=lambda row: row["answer"], after=lambda row: "(source)")
    printer = Printer(show, json_wanted=False)
    for event in ({"delta": " Two"}, {"delta": " years."}, {"answer": "Two years."}):
        printer.event(event)
    printer.close()
    assert capsys.readouterr().out == "Two years.\n(source)\n"


def test_bar_on_a_terminal_is_cleared_before_the_result(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    printer = Printer(Show(), json_wanted=True)
    printer.event({"progress": 0.25, "note": "a\nb"})
    assert terminal.getvalue() == f"\r\x1b[K{bar(0.25)} a b"
    printer.event({"a": 1})
    assert terminal.getvalue().endswith("\r\x1b[K")
