from hypothesis import given
from hypothesis import strategies as st

from knowledge.sections import Section, outline, tidy


def test_text_stands_under_the_path_of_its_headings():
    parts = [(1, "Returns"), (0, "Keep it."), (2, "Deadlines"), (0, "30 days."), (1, "Claims")]
    assert outline([*parts, (0, "By post.")]) == [
        Section("Returns", "Keep it."),
        Section("Returns > Deadlines", "30 days."),
        Section("Claims", "By post."),
    ]


def test_text_before_any_heading_has_none():
    assert outline([(0, "Hello."), (0, "You.")]) == [Section("", "Hello.\n\nYou.")]


def test_a_heading_above_a_smaller_one_is_in_that_ones_path_only():
    assert outline([(1, "A"), (3, "B"), (0, "x")]) == [Section("A > B", "x")]


def test_a_heading_with_nothing_under_it_is_kept():
    assert outline([(1, "A"), (2, "B"), (2, "C"), (0, "x"), (1, "D")]) == [
        Section("A > B", ""),
        Section("A > C", "x"),
        Section("D", ""),
    ]


def test_a_level_may_be_left_out_and_come_back():
    assert outline([(3, "deep"), (0, "x"), (1, "high"), (0, "y")]) == [
        Section("deep", "x"),
        Section("high", "y"),
    ]


def test_nothing_gives_nothing():
    assert outline([(0, " \n"), (1, "\t")]) == []


def test_tidy_takes_out_what_has_no_meaning_in_text():
    assert tidy("\ufeffa\x00b\x1b[1m\r\nc  \n\n\n\nd\xa0e\x0cf\ud800") == "ab[1m\nc\n\nd e\nf\ufffd"


@given(st.lists(st.tuples(st.integers(0, 6), st.text("ab >#\n", max_size=8)), max_size=12))
def test_no_word_is_lost(parts):
    sections = outline(parts)
    words = {word for section in sections for word in f"{section.heading} {section.text}".split()}
    assert {word for _, text in parts for word in text.split()} <= words
