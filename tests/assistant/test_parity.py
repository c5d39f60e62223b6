"""How alike two sets of answers are, in figures."""

from assistant.parity import LEAST_KEPT, Parity, compare
from tuning.evaluate import Case


def case(number, expected, slice="new wordings"):
    return Case(str(number), "g", slice, (), (1,), expected, {"type": "contains"})


CASES = [case(0, "yes"), case(1, "no"), case(2, "blue", "sentinel"), case(3, "red", "sentinel")]
SERVED = ["yes of course", "maybe", "it is blue", "green"]


def figures(exported):
    return compare(CASES, SERVED, exported, lambda text: [ord(sign) for sign in text])


def parity(least=0.95, **found):
    return Parity(questions=4, asked="all", engine="e", least_same_verdicts=least, **found)


def test_the_same_answers_are_the_same():
    found = figures(SERVED)
    assert found["same_verdicts"] == found["same_answers"] == found["same_tokens"] == 1.0
    assert (found["right_served"], found["own_right"], found["own_kept"]) == (2, 1, 1)
    assert parity(**found).good


def test_other_words_with_the_same_verdicts():
    found = figures(["yes of all things", "maybe not", "it is blue", "grey"])
    assert found["same_verdicts"] == 1.0 and found["same_answers"] == 0.25
    assert found["same_tokens"] == (7 + 5 + 10 + 3) / (17 + 9 + 10 + 5)
    assert parity(**found).good


def test_a_lost_verdict_counts_by_the_share_wanted():
    found = figures([*SERVED[:2], "it is black", "green"])
    assert found["same_verdicts"] == 0.75 and found["right_exported"] == 1
    assert not parity(**found).good
    assert parity(least=0.7, **found).good
    assert "1 right and the adapter as it serves 2" in parity(**found).sentence()


def test_what_was_taught_must_stay_though_the_rest_is_alike():
    cases = [case(0, "yes"), *(case(n, "blue", "sentinel") for n in range(1, 30))]
    found = compare(cases, ["yes", *["blue"] * 29], ["no", *["blue"] * 29], list)
    assert found["same_verdicts"] > 0.95 and found["own_kept"] < LEAST_KEPT
    assert not parity(**found).good


def test_another_model_is_not_the_same_because_both_are_wrong():
    cases = [case(n, "blue") for n in range(4)]
    found = compare(cases, ["red"] * 4, ["ocean"] * 4, list)
    assert found["same_verdicts"] == 1.0 and found["same_tokens"] == 0.0
    assert not parity(**found).good


def test_silence_on_both_sides_is_agreement():
    assert compare(CASES[:1], [""], [""], list)["same_tokens"] == 1.0
