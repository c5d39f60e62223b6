"""Said against wanted, word by word."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.admin.word_diff import mark_changes, plain_changes


@pytest.mark.parametrize(
    "said, wanted, left, right",
    [
        ("30 days.", "45 days.", "<del>30</del> days.", "<ins>45</ins> days."),
        ("same", "same", "same", "same"),
        ("", "new", "", "<ins>new</ins>"),
        ("old", "", "<del>old</del>", ""),
        ("no at all", "yes of course", "<del>no at all</del>", "<ins>yes of course</ins>"),
        ("a b", "a c b", "a b", "a <ins>c </ins>b"),
        ("status = 'open'", "status = 'Closed'", "status = &#x27;<del>open</del>&#x27;",
         "status = &#x27;<ins>Closed</ins>&#x27;"),
    ],
)  # fmt: skip
def test_changed_words_are_marked(said, wanted, left, right):
    assert mark_changes(said, wanted) == (left, right)


def text_of(marked: str) -> str:
    return unescape(re.sub(r"</?(?:ins|del)>", "", marked))


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_is_lost_and_nothing_becomes_markup(said, wanted):
    left, right = mark_changes(said, wanted)
    assert text_of(left) == said.replace("\r", "")
    assert text_of(right) == wanted.replace("\r", "")
    for marked in (left, right):
        assert not re.search(r"<(?!/?(ins|del)>)", marked)
        assert "\n" not in marked


def test_long_texts_are_compared_by_lines_and_soon():
    said = "\n".join(f"line {number} of a long answer" for number in range(3000))
    left, right = mark_changes(said, said.replace("line 7 ", "row 7 "))
    assert "<del>line 7 of a long answer&#10;</del>" in left
    assert "<ins>row 7 of a long answer&#10;</ins>" in right


@pytest.mark.parametrize(
    "was, now, shown",
    [
        ("within 30 days", "within 45 days", "within [-30-]{+45+} days"),
        ("same", "same", "same"),
        ("gone", "", "[-gone-]"),
        ("", "new", "{+new+}"),
    ],
)
def test_one_text_for_a_terminal(was, now, shown):
    assert plain_changes(was, now) == shown
