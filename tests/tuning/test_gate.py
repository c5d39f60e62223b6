"""The rule that lets an adapter serve, as tables of what happened and what must follow."""

from math import comb

import pytest

from tuning.config import RoundConfig
from tuning.evaluate import Evaluation
from tuning.gate import Duel, SentinelReport, cases_missing, decide, sign_test, upper_bound

CONFIG = RoundConfig()


def judged(row, slice, rights):
    """Evaluations of one row from a string: + right, - wrong."""
    return [
        Evaluation(f"{slice}-{number}", row, "", sign == "+", slice)
        for number, sign in enumerate(rights)
    ]


def round_of(candidate, serving, *, sentinel=None, needs=None, base=None, **others):
    """Evaluations on new wordings, with the other slices as (candidate, opponent) strings."""
    base = serving if base is None else base
    rows = {"candidate": candidate, "serving": serving, "base": base, **others}
    found = [one for row, rights in rows.items() for one in judged(row, "new wordings", rights)]
    for slice, pair in (("sentinel", sentinel), ("new needs", needs)):
        for row in rows if pair else ():
            found += judged(row, slice, pair[0] if row == "candidate" else pair[1])
    return found


@pytest.mark.parametrize(
    "candidate, serving, verdict",
    [
        ("+++++", "-----", "promote"),  # 1 in 32
        ("++++", "----", "not enough evidence"),  # 1 in 16: four cases can never decide
        ("++++-", "-----", "not enough evidence"),
        ("++++++++++---", "-------------", "promote"),
        ("+++++++++++++", "+++++++++++++", "reject"),  # equal: nothing gained
        ("-------------", "-------------", "reject"),
        ("+++++++++++++", "++++++++++++-", "not enough evidence"),
        ("++++++++----", "----++++----", "not enough evidence"),  # 8 to 4 of 12 with 4 shared
        ("++++++++++++++", "++++++++------", "promote"),  # 6 wins, no loss
        ("+++++++------", "------+++++++", "reject"),  # 6 wins, 6 losses
        ("-----", "+++++", "reject"),
        ("---", "+++", "reject"),  # few cases, but the base has more of them
        ("++++++++++--", "----------++", "promote"),  # 10 to 2: 79 in 4096
        ("+++++++++---", "---------+++", "not enough evidence"),  # 9 to 3: 299 in 4096
        ("", "", "not enough evidence"),
    ],
)
def test_the_candidate_must_beat_what_serves(candidate, serving, verdict):
    decision = decide(round_of(candidate, serving), CONFIG)
    assert decision.verdict == verdict
    assert decision.reasons and all(reason.endswith(".") for reason in decision.reasons)


@pytest.mark.parametrize(
    "after, before, verdict",
    [
        ("+" * 10, "+" * 10, "promote"),
        ("+" * 9 + "-", "+" * 10, "promote"),  # 90% kept is enough
        ("+" * 8 + "--", "+" * 10, "reject"),
        ("+" * 10, "-" * 10, "promote"),
        ("-" * 10, "-" * 10, "promote"),  # the base knew nothing to forget
        ("+" * 36 + "-" * 4, "+" * 40, "promote"),
        ("+" * 35 + "-" * 5, "+" * 40, "reject"),
        ("-" * 5 + "+" * 5, "+" * 5 + "-" * 5, "reject"),  # others learned do not excuse
        ("-", "+", "reject"),
    ],
)
def test_what_was_known_must_stay_known(after, before, verdict):
    decision = decide(round_of("+" * 8, "-" * 8, sentinel=(after, before)), CONFIG)
    assert decision.verdict == verdict
    if verdict == "reject":
        assert "general questions" in decision.reasons[0]


def test_forgetting_is_measured_against_the_base_not_against_a_forgetful_predecessor():
    found = round_of("+" * 8, "-" * 8)
    found += judged("base", "sentinel", "+" * 10)
    found += judged("serving", "sentinel", "+" * 5 + "-" * 5)
    found += judged("candidate", "sentinel", "+" * 5 + "-" * 5)
    assert decide(found, CONFIG).verdict == "reject"


@pytest.mark.parametrize(
    "after, before, verdict",
    [
        ("-----", "+++++", "reject"),
        ("----", "++++", "promote"),  # may be chance
        ("+++++", "-----", "promote"),
        ("++--------", "--++++++++", "promote"),  # 8 to 2 against: 56 in 1024
        ("+---------", "-+++++++++", "reject"),
    ],
)
def test_new_needs_can_only_veto(after, before, verdict):
    assert decide(round_of("+" * 8, "-" * 8, needs=(after, before)), CONFIG).verdict == verdict


def test_new_needs_do_not_promote():
    decision = decide(round_of("+" * 8, "+" * 8, needs=("+" * 9, "-" * 9)), CONFIG)
    assert decision.verdict == "reject"


@pytest.mark.parametrize(
    "look_up, verdict", [("+++++++-", "promote"), ("++++++++", "promote"), ("", "promote")]
)
def test_another_opponent_may_be_as_good(look_up, verdict):
    others = {"look_up": look_up} if look_up else {}
    assert decide(round_of("+" * 8, "-" * 8, **others), CONFIG).verdict == verdict


def test_a_candidate_that_loses_to_a_look_up_is_not_served():
    decision = decide(round_of("++++++--", "--------", look_up="+" * 8), CONFIG)
    assert decision.verdict == "reject"
    assert "look-up has 8 right and the candidate 6" in decision.reasons[0]


def test_a_candidate_below_the_base_is_not_served():
    decision = decide(round_of("+++++---", "--------", base="++++++--"), CONFIG)
    assert decision.verdict == "reject"


def test_reasons_name_the_counts():
    decision = decide(round_of("++++++++--", "-" * 10, sentinel=("+" * 9, "+" * 9)), CONFIG)
    assert "10 new wordings the candidate has 8 right and what serves has 0" in decision.reasons[0]
    assert "256" in decision.reasons[0]
    assert "Of 9 general questions that were right before, 9 still are." in decision.reasons


@pytest.mark.parametrize(
    "candidate, serving, said",
    [
        ("", "", "No new wording was held out"),
        ("+++", "---", "2 more are needed"),
        ("+" * 13, "+" * 12 + "-", "better, but it may be chance"),
    ],
)
def test_not_enough_says_how_many_are_missing(candidate, serving, said):
    decision = decide(round_of(candidate, serving), CONFIG)
    assert decision.verdict == "not enough evidence"
    assert said in decision.reasons[0]
    assert any(character.isdigit() for character in decision.reasons[0])


@pytest.mark.parametrize("risk, needed", [(0.05, 5), (0.01, 7), (0.5, 1)])
def test_the_risk_sets_how_many_wins_it_takes(risk, needed):
    config = RoundConfig(gate_risk=risk)
    enough = round_of("+" * needed, "-" * needed)
    assert decide(enough, config).verdict == "promote"
    if needed > 1:
        short = round_of("+" * (needed - 1), "-" * (needed - 1))
        assert decide(short, config).verdict == "not enough evidence"


@pytest.mark.parametrize("wins, losses", [(0, 0), (5, 0), (3, 4), (10, 2), (7, 7)])
def test_the_sign_test_is_the_binomial_tail(wins, losses):
    throws = wins + losses
    tail = sum(comb(throws, k) for k in range(wins, throws + 1)) / 2**throws
    assert sign_test(wins, losses) == pytest.approx(tail)
    assert 0 < sign_test(wins, losses) <= 1


@pytest.mark.parametrize(
    "duel, more",
    [
        (Duel(4, 4, 0, 4, 0), 1),
        (Duel(13, 13, 12, 1, 0), 52),  # a win every 13 cases: four more wins
        (Duel(0, 0, 0, 0, 0), 5),
        (Duel(10, 5, 5, 5, 5), None),
    ],
)
def test_how_many_more_cases_it_takes(duel, more):
    assert cases_missing(duel, 0.05) == more


def test_half_an_evaluation_decides_nothing():
    whole = round_of("+" * 8, "-" * 8)
    with pytest.raises(ValueError, match="same cases"):
        decide(whole[:-1], CONFIG)
    with pytest.raises(ValueError, match="serving"):
        decide(judged("candidate", "new wordings", "+++++"), CONFIG)


@pytest.mark.parametrize(
    "report, verdict, said",
    [
        (SentinelReport(500, 400, 12, 0.019), "promote", "loses 12, 95% sure under 4.8%"),
        (SentinelReport(500, 400, 13, 0.019), "reject", "loses 13, 95% sure under 5.1%"),
        (SentinelReport(500, 400, 0, 0.021), "reject", "lost 0.021 nats a token; 0.02 may go"),
        (SentinelReport(500, 400, 0, -0.3), "promote", "lost -0.300 nats"),
        (SentinelReport(500, 400, 0, float("nan")), "reject", "nan nats"),
        (SentinelReport(500, 400, 400, 0.0), "reject", "sure under 100.0%"),
        (SentinelReport(500, 20, 0, 0.0), "promote", "Of 20 general items"),  # too few to show it
        (SentinelReport(500, 0, 0, 0.0), "promote", "Of 0 general items"),
    ],
)
def test_the_likelihood_of_general_answers_can_veto(report, verdict, said):
    decision = decide(round_of("+" * 8, "-" * 8), CONFIG, sentinel=report)
    assert decision.verdict == verdict
    assert said in " ".join(decision.reasons)


def test_how_much_may_be_lost_is_a_setting():
    found = round_of("+" * 8, "-" * 8)
    loose = RoundConfig(sentinel_nats=0.5, sentinel_lost=0.2)
    report = SentinelReport(500, 400, 50, 0.4)
    assert decide(found, CONFIG, sentinel=report).verdict == "reject"
    assert decide(found, loose, sentinel=report).verdict == "promote"


@pytest.mark.parametrize("lost, of", [(0, 59), (3, 100), (20, 400)])
def test_the_upper_bound_is_where_so_few_lost_become_unlikely(lost, of):
    share = upper_bound(lost, of)
    tail = sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(lost + 1))
    assert tail == pytest.approx(0.05)
