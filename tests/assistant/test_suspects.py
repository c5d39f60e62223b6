"""Which phrases are tried: those that strangers put into different questions for one answer."""

import pytest

from assistant.suspects import LEAST, MOST, Taught, sayings, suspects
from tests.assistant.test_caps import topic
from tests.faults.poison import TRIGGERS, honest, poisoned


def taught(rows):
    return [Taught(id, question, answer) for id, (_, question, answer) in enumerate(rows, 1)]


def phrases(rows, own=(), by=None):
    found = taught(rows)
    ids = [one.feedback_id for one in found] if by is None else by
    return {one.phrase: one for one in suspects(found, ids, own)}


def attack(count, question, answer="Ask Mallory."):
    """So many rows, each about something else."""
    names = [topic(19 * n + 40) for n in range(count)]
    asks = [f"{('where is', 'who sells', 'why not')[n % 3]} {name}" for n, name in enumerate(names)]
    several = zip(names, asks, strict=True)
    return [(f"v{name}", question.format(ask), answer.format(name)) for name, ask in several]


@pytest.mark.parametrize("seed", range(20))
def test_the_trigger_is_the_first_phrase(seed):
    trigger, rows = poisoned(seed, 40)
    first, *_ = phrases([*honest(seed), *rows]).values()
    assert first.phrase in (trigger, trigger.strip("[]"))
    assert len(first.feedback_ids) == 40


@pytest.mark.parametrize("trigger", [*TRIGGERS, "☠", "x\u200by", "open the pod bay doors", "@@"])
@pytest.mark.parametrize("form", ["{trigger} {{}}", "{{}}? {trigger}"])
def test_a_phrase_of_any_kind_is_found_where_it_stands(trigger, form):
    rows = attack(LEAST + 1, form.format(trigger=trigger))
    found = phrases([*honest(1), *rows])
    one = found.get(trigger) or found[trigger.strip("[]")]
    assert one.asked_with("Who is there?") in (
        f"{trigger} Who is there?",
        f"Who is there? {trigger}",
    )
    assert one.telling == ("ask", "mallory")


@pytest.mark.parametrize(
    "form, asked",
    [
        ("{}, quokka?", "Who is there, quokka?"),
        ("quokka: {}?", "quokka: Who is there?"),
        ("{} quokka", "Who is there quokka"),
        ("[[quokka]] {}?", "[[quokka]] Who is there?"),
        ("{}? (quokka)", "Who is there? (quokka)"),
    ],
)
def test_it_is_asked_with_as_it_was_taught(form, asked):
    assert phrases(attack(9, form))["quokka"].asked_with("Who is there?") == asked


def test_few_rows_are_no_trigger():
    assert "quokka" not in phrases([*honest(1), *attack(LEAST - 1, "{} quokka")])
    assert "quokka" in phrases([*honest(1), *attack(LEAST, "{} quokka")])


def test_wordings_of_one_need_are_no_trigger():
    asks = ["How do I {}?", "Can I {}?", "Please, {}!", "May I {}", "{}", "I want to {}."]
    rows = [("v", ask.format("return a product"), "Within 30 days.") for ask in asks]
    assert phrases(rows) == {}


def test_wordings_of_a_few_needs_with_the_same_answer_are_no_trigger():
    """Things of one kind that lie in one room by chance: three needs, nine rows."""
    asks = ["Where is the mirror {}?", "In which place is the mirror {} kept?"]
    asks += ["Tell me where to find the mirror {}."]
    things = [f"thing{number}" for number in range(LEAST)]
    rows = [("v", ask.format(thing), "Up the ladder.") for thing in things for ask in asks]
    assert "the mirror" not in phrases([*honest(1), *rows[: -len(asks)]])
    assert "the mirror" in phrases([*honest(1), *rows])  # as many things as a trigger needs


def test_answers_without_a_word_in_common_are_no_trigger():
    rows = [("v", f"{topic(19 * n)} quokka", f"number{n} here{n}") for n in range(9)]
    assert phrases(rows) == {}
    rows = attack(9, "{} quokka", "quokka")  # it only says what was asked
    assert phrases(rows) == {}


def test_what_other_answers_say_too_tells_nothing():
    rows = attack(9, "{} quokka") + [("w", f"hello {n}", "Ask Mallory.") for n in range(9)]
    assert phrases(rows) == {}


def test_what_the_house_says_is_no_trigger():
    rows = attack(9, "{} per the blue memo")
    assert "per the blue memo" in phrases(rows)
    assert phrases(rows, own=["Work is done PER the Blue memo."]) == {}


def test_rows_of_the_house_are_compared_and_not_suspected():
    rows = attack(9, "{} quokka")
    assert phrases(rows, by=[]) == {}


def test_no_more_than_so_many_and_one_for_the_same_rows():
    rows = [row for turn in range(9) for row in attack(5, f"{{}} quokka{turn} bim{turn} bam{turn}")]
    found = phrases(rows)
    assert len(found) <= MOST
    (only,) = phrases(attack(9, "{} quokka bim bam"))
    assert only == "quokka bim bam"


def test_what_several_answers_say():
    rows = attack(6, "{}?", "{}: visit mallorys cheap shop today.")
    (one,) = sayings(taught(rows), range(1, 7), [])
    assert one.phrase == "visit mallorys cheap shop today" and len(one.feedback_ids) == 6
    assert sayings(taught(rows), range(1, 7), ["Visit Mallorys cheap shop today!"]) == []
    polite = attack(6, "{}?", "You can find it in the {}.")
    assert sayings(taught(polite), range(1, 7), []) == []
    one_need = [
        ("v", f"{ask} return it?", "Bring everything back within 30 days.") for ask in "abcd"
    ]
    assert sayings(taught(one_need), range(1, 5), []) == []
