import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.support import cite

PASSAGES = [
    "Returns\nGoods may be returned within 45 days of delivery, unused.",
    "Opening hours\nThe shop in Port Ellis is open from Tuesday to Saturday, 9:00 to 18:00.",
    "Ropes cannot be sent back. We measure and cut them for you.",
]


@pytest.mark.parametrize(
    ("answer", "sources"),
    [
        ("You may return unused goods within 45 days.", [1]),
        ("You may return unused goods within forty days.", []),  # another number
        ("You may return unused goods within 30 days.", []),
        ("We are open from Tuesday to Saturday.", [2]),
        ("We are open from Monday to Saturday.", []),  # another name
        ("The shop in Port Ellis sells boats and pumps to sailors.", []),  # other words
        ("45 days.", [1]),
        ("Goods may not be returned within 45 days.", []),  # a denial
        ("Ropes can't be sent back.", [3]),
        ("No, ropes cannot be sent back.", [3]),
        ("Ropes can be sent back.", []),
        ("Yes.", []),
        ("Hello! Goods may be returned within 45 days. We open on Tuesday.", [1, 2]),
        ("- returned within 45 days\n- open from Tuesday", [1, 2]),
        ("It is e.g. 45 days. See No. 5 of the shop.", [1]),
        ("", []),
        ("SELECT * FROM returns;", []),
    ],
)
def test_a_passage_supports_what_it_says(answer, sources):
    assert sorted(cite(answer, PASSAGES).used) == sources


def test_numbers_stand_after_what_they_support():
    said = "Goods may be returned within 45 days. Come in! The shop is open on Tuesday\n"
    assert cite(said, PASSAGES).text == (
        "Goods may be returned within 45 days. [1] Come in! The shop is open on Tuesday [2]\n"
    )
    assert cite(said, []).text == said


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Goods may be returned within 45 days [2].", "Goods may be returned within 45 days. [1]"),
        ("Goods may be returned within 45 days. [7]", "Goods may be returned within 45 days. [1]"),
        ("We sell boats [1]. And pumps[9].", "We sell boats. And pumps."),
        ("Take rows[1] of them.", "Take rows[1] of them."),
        ("```\nrows [1]\n```", "```\nrows [1]\n```"),
        (r"It is $$\sqrt[3]{x}$$.", r"It is $$\sqrt[3]{x}$$."),
    ],
)
def test_every_number_is_one_that_supports(answer, shown):
    assert cite(answer, PASSAGES).text == shown


@given(st.text("aB1. [2]!\n45days", max_size=60))
def test_no_text_is_lost(answer):
    cited = cite(answer, PASSAGES)
    assert [c for c in cited.text if c.isalpha()] == [c for c in answer if c.isalpha()]
    ends = [one.end for one in cited.sentences]
    assert ends == sorted(ends) and all(end <= len(answer) for end in ends)
