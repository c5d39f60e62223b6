"""Nothing in a text begins a tag, an image or a diagram, and it reads as it was typed."""

import re

import pytest

from assistant.plain_markdown import as_typed, plain_markdown

MATHS = (("$$", "$$"), (r"\(", r"\)"))
BEGINS = re.compile(r"<[A-Za-z/!?]|!\[|[`~]{3}[^\S\n]*mermaid")
PLAIN = (
    "x < y and 3<4 but not a <- b",
    "<https://example.com/a?b=1> and a<br>b, H<sub>2</sub>O",
    "Really! [1] says so.",
    "```python\nprint(1)\n```",
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_begins_none_of_them_is_left_as_it_is(text):
    assert plain_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<b>x</b>",
        "<!-- x --><?x?>",
        "<javascript:run()>",
        '<https://a.b/"><img src=x>',
        "<br onclick=run()>",
        "![x](https://a.b/c.png)",
        "![x][y]",
        "vec![1]",
        "```mermaid\ngraph TD\n```",
        "~~~~  mermaid\ngraph TD\n~~~~",
        "`<b>`",
        "<script",
    ],
)
def test_what_would_begin_one_does_not_and_comes_back_as_it_was_typed(text):
    shown = plain_markdown(text)
    assert not BEGINS.search(shown)
    assert shown.replace("\u2060", "") == text == as_typed(shown)


def test_a_formula_keeps_its_sense():
    assert (
        plain_markdown(r"$$a<b$$ or \(c<d\) or <e>", MATHS) == "$$a< b$$ or \\(c< d\\) or <\u2060e>"
    )
    assert not BEGINS.search(plain_markdown("$$<img src=x>$$ $$ \\(</p>\\)", MATHS))
