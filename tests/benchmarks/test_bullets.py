"""Bullets with sources: which marker is written, and what counts as a right one."""

import pytest

from tests.benchmarks.bullets import (
    BULLETS,
    cited,
    holds,
    is_bullets,
    measure_bullets,
    read_bullets,
)
from tests.benchmarks.skill import Cases, Item, Reply
from tuning.checks import fault

SAUNA = "Sauna\nThe sauna is open from October to April. It costs 6 euros and is free for members."
SHOWERS = "Showers\nShowers are included in the ticket. Towels can be rented for 2.50 euros."
ASKED = Item("What does the sauna cost?", facts=("The sauna costs 6 euros.", "Rossi roasts it."))


def measured(answer):
    found = measure_bullets(Cases((), (ASKED,)), [Reply(answer, (SHOWERS, SAUNA))])
    return {name: score.text for name, score in found.items()}


def test_a_fact_gets_the_number_of_the_passage_that_holds_it():
    assert cited(ASKED, (SHOWERS, SAUNA)) == "- The sauna costs 6 euros. [2]"
    assert cited(ASKED, (SAUNA,)) == "- The sauna costs 6 euros. [1]"
    assert cited(ASKED, (SHOWERS,)) == cited(ASKED, ()) == ""


@pytest.mark.parametrize(
    ("sentence", "held"),
    [
        ("The sauna costs 6 euros.", True),
        ("The sauna costs six euros for guests.", True),
        ("The sauna costs 7 euros.", False),
        ("The sauna opens in Rome.", False),
        ("The sauna has a view over valley, river and mountains.", False),
    ],
)
def test_a_passage_holds_the_figures_the_names_and_most_words(sentence, held):
    assert holds(SAUNA, sentence) is held


def test_a_right_answer_passes():
    assert measured("- The sauna costs 6 euros. [2]") == {
        "every check": "1 of 1",
        "bullets and nothing else": "1 of 1",
        "only right sources": "1 of 1",
        "something wanted": "1 of 1",
        "lines with their right source": "1 of 1",
        "facts not of [1]": "1 of 1",
        "wanted facts": "1 of 1",
    }


@pytest.mark.parametrize(
    ("answer", "form", "sources", "wanted"),
    [
        ("- The sauna costs 6 euros. [1]", 1, 0, 1),
        ("- The sauna costs 6 euros. [3]", 1, 0, 1),
        ("- The sauna costs 6 euros. [0]", 1, 0, 1),
        ("- The sauna costs 9 euros. [2]", 1, 0, 0),
        ("- Showers are included in the ticket. [1]", 1, 1, 0),
        ("The sauna costs 6 euros. [2]", 0, 0, 1),
        ("Here it is:\n- The sauna costs 6 euros. [2]", 0, 0, 1),
        ("", 0, 0, 0),
    ],
)
def test_each_fault_is_found(answer, form, sources, wanted):
    found = measured(answer)
    assert found["every check"] == "0 of 1"
    assert found["bullets and nothing else"] == f"{form} of 1"
    assert found["only right sources"] == f"{sources} of 1"
    assert found["something wanted"] == f"{wanted} of 1"


def test_the_first_passage_after_everything_is_found_out():
    both = Item("?", facts=("Showers are included in the ticket.", "The sauna costs 6 euros."))
    answer = "- Showers are included in the ticket. [1]\n- The sauna costs 6 euros. [1]"
    found = measure_bullets(Cases((), (both,)), [Reply(answer, (SHOWERS, SAUNA))])
    assert found["wanted facts"].text == "2 of 2" and found["every check"].text == "0 of 1"
    assert found["facts not of [1]"].text == "0 of 1"
    assert found["lines with their right source"].text == "1 of 2"


def test_its_check_takes_bullets_alone():
    for right in ("- One thing. [1]", "- One thing. [1]\n- Another. [3]"):
        assert fault(BULLETS.checks[0], right) is None and is_bullets(right)
    for wrong in ("One thing. [1]", "- One thing.", "- One thing. [1]\nso", "- One. [1]\n", ""):
        assert fault(BULLETS.checks[0], wrong)


def test_the_pages_hold_every_fact():
    pages = [path.read_text() for path in BULLETS.documents.glob("*.md")]
    sections = [section for page in pages for section in page.split("\n## ")[1:]]
    cases = read_bullets(None)
    assert len(cases.taught) >= 40 and len(cases.asked) >= 30
    for item in (*cases.taught, *cases.asked):
        for fact in item.facts:
            assert any(holds(section, fact) for section in sections), fact
    assert not {item.question for item in cases.taught} & {item.question for item in cases.asked}
