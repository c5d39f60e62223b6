"""What a comparison can show, against scipy's own distributions and against counting."""

from itertools import product
from math import comb

import pytest
from scipy.stats import binom, binomtest

from tuning.evidence import (
    chance_of_so_many,
    chance_to_pass,
    duel,
    false_promotion,
    gain_interval,
    least_needs,
    needs_for_power,
    sign_test,
    upper_bound,
    wilson,
)


def rights(signs):
    return {str(number): sign == "+" for number, sign in enumerate(signs)}


def test_a_duel_counts_cases_and_needs():
    need_of = {"0": "a", "1": "a", "2": "b", "3": ""}
    found = duel(rights("++-+"), rights("-++-"), need_of)
    assert (found.cases, found.right, found.other_right, found.lost) == (4, 3, 2, 1)
    assert (found.needs, found.wins, found.losses) == (3, 2, 1)
    assert sorted(zip(found.gains, found.sizes, strict=True)) == [(-1, 1), (1, 1), (1, 2)]


@pytest.mark.parametrize("wins, losses", [(0, 0), (5, 0), (3, 4), (10, 2), (7, 7), (40, 21)])
def test_the_sign_test_is_the_binomial_tail(wins, losses):
    throws = wins + losses
    expected = binomtest(wins, throws, alternative="greater").pvalue if throws else 1.0
    assert sign_test(wins, losses) == pytest.approx(expected)


@pytest.mark.parametrize("risk, needs", [(0.05, 5), (0.01, 7), (0.5, 1)])
def test_least_needs(risk, needs):
    assert least_needs(risk) == needs


@pytest.mark.parametrize("needs, win, loss", [(5, 1.0, 0.0), (6, 0.5, 0.2), (7, 0.3, 0.3)])
def test_the_chance_to_pass_by_going_through_every_outcome(needs, win, loss):
    total = 0.0
    for outcome in product(((1, win), (-1, loss), (0, 1 - win - loss)), repeat=needs):
        signs = [sign for sign, _ in outcome]
        wins, losses = signs.count(1), signs.count(-1)
        if wins > losses and sign_test(wins, losses) <= 0.05:
            chance = 1.0
            for _, share in outcome:
                chance *= share
            total += chance
    assert chance_to_pass(needs, win, loss, 0.05) == pytest.approx(total)


def test_nothing_that_differs_never_passes():
    assert chance_to_pass(50, 0.0, 0.0, 0.05) == 0.0


@pytest.mark.parametrize("needs", [1, 4, 5, 13, 29, 60])
def test_an_adapter_that_is_no_better_passes_within_the_risk(needs):
    assert false_promotion(needs, 0.05) <= 0.05
    assert (false_promotion(needs, 0.05) > 0) == (needs >= 5)


@pytest.mark.parametrize(
    "win, loss, needs",
    [(1.0, 0.0, 5), (0.8, 0.0, 7), (0.4, 0.1, 37), (0.5, 0.5, None), (0.02, 0.01, None)],
)
def test_needs_for_power_is_where_the_power_is_first_kept(win, loss, needs):
    found = needs_for_power(win, loss, 0.05, 0.8)
    assert found == needs
    if found is not None:
        assert chance_to_pass(found, win, loss, 0.05) >= 0.8 - 1e-9
        assert chance_to_pass(found - 1, win, loss, 0.05) < 0.8


def test_more_power_takes_more_needs():
    assert needs_for_power(0.4, 0.1, 0.05, 0.95) > needs_for_power(0.4, 0.1, 0.05, 0.6)


def test_the_interval_of_the_gain_holds_the_truth_about_as_often_as_it_says():
    """Every outcome of 30 needs by its chance: 45% won, 15% lost, so the gain is 0.3."""
    covered = 0.0
    for wins in range(31):
        for losses in range(31 - wins):
            chance = binom.pmf(wins, 30, 0.45) * binom.pmf(losses, 30 - wins, 0.15 / 0.55)
            if chance < 1e-4:
                continue
            both = "+" * wins + "-" * (30 - wins), "-" * wins + "+" * losses
            found = duel(rights(both[0]), rights(both[1].ljust(30, "-")), {})
            low, high = gain_interval(found, 0.9, seed=7)
            covered += chance * (low <= 0.3 <= high)
    assert 0.85 <= covered <= 0.93


def test_the_interval_of_needs_that_all_gain_the_same_is_a_point():
    found = duel(rights("++++"), rights("----"), {})
    assert gain_interval(found, 0.9, seed=1) == (1.0, 1.0)
    half = duel(rights("+-+-"), rights("----"), {"0": "a", "1": "a", "2": "b", "3": "b"})
    assert gain_interval(half, 0.9, seed=1) == (0.5, 0.5)


@pytest.mark.parametrize("lost, of", [(0, 59), (3, 100), (20, 400)])
def test_the_upper_bound_is_where_so_few_lost_become_unlikely(lost, of):
    share = upper_bound(lost, of)
    tail = sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(lost + 1))
    assert tail == pytest.approx(0.05)
    assert upper_bound(of, of) == 1.0


@pytest.mark.parametrize("lost, of, share", [(0, 5, 0.1), (4, 13, 0.1), (2, 2, 0.5), (0, 0, 0.1)])
def test_the_chance_of_so_many(lost, of, share):
    assert chance_of_so_many(lost, of, share) == pytest.approx(float(binom.sf(lost - 1, of, share)))


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # the score method in Newcombe, Statistics in Medicine 17 (1998), table I
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson(right, total, low, high):
    assert wilson(right, total) == pytest.approx((low, high), abs=1e-4)
