"""How often the whole gate errs: every outcome by its exact chance, not a sample of rounds.

`python -m tests.tuning.test_gate_rates` prints the table of the notes.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from tuning.config import RoundConfig
from tuning.evaluate import Evaluation
from tuning.gate import SentinelReport, decide

SIZES = (5, 10, 20, 30)
"""Needs on new wordings; the table has 60 too."""
TRUTHS = {
    "no better, differs at 20%": (0.1, 0.1),
    "no better, differs at 60%": (0.3, 0.3),
    "wins 20%, loses 5%": (0.2, 0.05),
    "wins 40%, loses 10%": (0.4, 0.1),
    "wins 60%, loses 5%": (0.6, 0.05),
    "wins 80%, loses none": (0.8, 0.0),
    "wins 10%, loses 30%": (0.1, 0.3),
}
VERDICTS = ("promote", "reject", "not enough evidence")


@cache
def verdict(needs, wins, losses):
    """What the gate says when so many needs of one case each are won and lost."""
    signs = [("+", "-")] * wins + [("-", "+")] * losses + [("-", "-")] * (needs - wins - losses)
    found = [
        Evaluation(str(number), row, "", pair[place] == "+", "new wordings")
        for number, pair in enumerate(signs)
        for place, row in enumerate(("candidate", "serving"))
    ]
    return decide(found, RoundConfig()).verdict


def rates(needs, win, loss):
    """The chance of each verdict; outcomes rarer than 1e-4 are left out."""
    chances = dict.fromkeys(VERDICTS, 0.0)
    for wins, losses in product(range(needs + 1), repeat=2):
        if wins + losses > needs:
            continue
        rest = loss / (1 - win) if win < 1 else 0.0
        chance = binom.pmf(wins, needs, win) * binom.pmf(losses, needs - wins, rest)
        if chance > 1e-4:
            chances[verdict(needs, wins, losses)] += float(chance)
    return chances


@pytest.mark.parametrize("needs", SIZES)
@pytest.mark.parametrize("truth", ["no better, differs at 20%", "no better, differs at 60%"])
def test_an_adapter_that_is_no_better_is_promoted_within_the_risk(needs, truth):
    assert rates(needs, *TRUTHS[truth])["promote"] <= RoundConfig().gate_risk


@pytest.mark.parametrize(
    "truth, promoted, rejected",
    [
        ("wins 40%, loses 10%", (0.0, 0.15, 0.45, 0.65), (0.3, 0.2, 0.1, 0.06)),
        ("wins 60%, loses 5%", (0.07, 0.55, 0.9, 0.98), (0.1, 0.02, 0.02, 0.01)),
        ("wins 80%, loses none", (0.3, 0.95, 0.998, 0.998), (0.01,) * 4),
    ],
)
def test_an_adapter_that_is_better_is_promoted_the_surer_the_more_needs_judge(
    truth, promoted, rejected
):
    for needs, least, most in zip(SIZES, promoted, rejected, strict=True):
        found = rates(needs, *TRUTHS[truth])
        assert found["promote"] >= least, (needs, found)
        assert found["reject"] <= most, (needs, found)


@pytest.mark.parametrize("needs", SIZES)
def test_an_adapter_that_is_worse_is_never_promoted(needs):
    assert rates(needs, *TRUTHS["wins 10%, loses 30%"])["promote"] < 0.001


def by_case_and_by_need(rounds=150, needs=8, wordings=5):
    """Shares of rounds promoted when the wordings of a need go together and nobody is better."""
    random, counts = np.random.default_rng(3), [0, 0]
    for _ in range(rounds):
        better = np.repeat(random.choice([-1, 1], needs), wordings)
        for place, grouped in enumerate((False, True)):
            found = [
                Evaluation(
                    str(number), row, "", bool(sign == side), "new wordings",
                    f"need {number // wordings}" if grouped else "",
                )
                for number, sign in enumerate(better)
                for row, side in (("candidate", 1), ("serving", -1))
            ]  # fmt: skip
            loose = RoundConfig(previous_lost=1.0)
            counts[place] += decide(found, loose).verdict == "promote"
    return counts[0] / rounds, counts[1] / rounds


def test_wordings_of_one_need_counted_singly_would_promote_too_often():
    singly, by_need = by_case_and_by_need()
    assert singly > 0.1
    assert by_need <= 0.05


def sentinel_veto(base_right, share):
    """Chance that the bound vetoes a candidate that truly loses this share of the general items."""
    won = [
        Evaluation(str(number), row, "", row == "candidate", "new wordings")
        for number in range(8)
        for row in ("candidate", "serving")
    ]
    return sum(
        float(binom.pmf(lost, base_right, share))
        for lost in range(min(base_right, 40) + 1)
        if decide(won, RoundConfig(), sentinel=SentinelReport(500, base_right, lost, 0.0)).verdict
        == "reject"
    )


@pytest.mark.parametrize("base_right", [200, 400])
def test_forgetting_that_is_too_much_is_let_through_within_the_risk(base_right):
    assert 1 - sentinel_veto(base_right, 0.0501) <= 0.05
    assert sentinel_veto(base_right, 0.005) < 0.02


def table():
    """The rates as lines of Markdown."""
    lines = ["| truth | " + " | ".join(f"{needs} needs" for needs in (*SIZES, 60)) + " |"]
    lines.append("|---" * (len(SIZES) + 2) + "|")
    for truth, (win, loss) in TRUTHS.items():
        cells = []
        for needs in (*SIZES, 60):
            found = rates(needs, win, loss)
            cells.append(" / ".join(f"{100 * found[name]:.1f}" for name in VERDICTS))
        lines.append(f"| {truth} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    print("counted by wording, by need:", by_case_and_by_need(1000))
    for right, share in product((200, 400), (0.005, 0.01, 0.02, 0.03, 0.05)):
        print(f"base right {right}, truly lost {share:.1%}: veto {sentinel_veto(right, share):.3f}")
