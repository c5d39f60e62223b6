"""What a comparison of two answerers on the same cases can show. Pure and exact where it can be.

The unit is the need: several wordings of one need are right or wrong together, and counted one by
one they would prove more than they do. A need is won where the candidate has more of its cases
right than the other, lost where it has fewer.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt

import numpy as np
from scipy.special import bdtrc, betaincinv, gammaln, xlog1py, xlogy

SURE = 0.95
"""Confidence of the one-sided bound on a share."""
MOST_NEEDS = 1_000
"""Needs up to which it is worth saying how many would show a gain."""
ROW = 10
"""Numbers of needs in a row that must have the power asked for."""
RESAMPLES = 10_000
"""Draws of the bootstrap: its bounds then wobble by less than half a point of 100."""
Z = 1.959964
"""Standard deviations of a 95% interval."""


@dataclass(frozen=True)
class Duel:
    """Two rows on the same cases. `lost` are the cases that only the other one has right."""

    cases: int
    right: int
    other_right: int
    lost: int
    gains: tuple[int, ...]
    """For each need, cases right more often (or, below 0, less often) than by the other."""
    sizes: tuple[int, ...]
    """For each need, its cases."""

    @property
    def needs(self) -> int:
        """Needs that were asked for."""
        return len(self.gains)

    @property
    def wins(self) -> int:
        """Needs at which the candidate is better."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def losses(self) -> int:
        """Needs at which the other one is better."""
        return sum(gain < 0 for gain in self.gains)


def duel(mine: Mapping[str, bool], theirs: Mapping[str, bool], need_of: Mapping[str, str]) -> Duel:
    """Both rows by case id; a case without an entry in `need_of` is a need of its own."""
    gains: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for case, right in mine.items():
        need = need_of.get(case) or f"\x1f{case}"
        gains[need] += right - theirs[case]
        sizes[need] += 1
    return Duel(
        cases=len(mine),
        right=sum(mine.values()),
        other_right=sum(theirs.values()),
        lost=sum(theirs[case] and not right for case, right in mine.items()),
        gains=tuple(gains[need] for need in sizes),
        sizes=tuple(sizes.values()),
    )


def sign_test(wins: int, losses: int) -> float:
    """Chance that a fair coin gives at least `wins` heads in `wins + losses` throws.

    One-sided; for paired yes and no it is McNemar's exact test (McNemar 1947).
    """
    throws = wins + losses
    return sum(comb(throws, heads) for heads in range(wins, throws + 1)) / 2**throws


def least_needs(risk: float) -> int:
    """Needs of which every one must be won for the test to say yes at this risk."""
    needs = 1
    while sign_test(needs, 0) > risk:
        needs += 1
    return needs


def chance_to_pass(needs: int, win: float, loss: float, risk: float) -> float:
    """Chance that the test says yes at `risk`, when each need is won or lost with these chances.

    Exact: over how many needs differ (binomial), then over how many of those are won.
    """
    differ = win + loss
    if not differ:
        return 0.0
    return float(_pmf(needs, differ) @ _passes(needs, min(1.0, win / differ), risk))


def false_promotion(needs: int, risk: float) -> float:
    """Largest chance that the test says yes where neither is better, however often they differ."""
    shares = np.linspace(0.02, 1.0, 50)
    return max(chance_to_pass(needs, share / 2, share / 2, risk) for share in shares)


def needs_for_power(win: float, loss: float, risk: float, power: float) -> int | None:
    """Needs with which a gain of these chances passes with this power; None: over MOST_NEEDS.

    Exact power goes up and down a little with each further need, so it must hold for ROW in a row.
    """
    if win <= loss:
        return None
    passes = _passes(MOST_NEEDS + ROW, min(1.0, win / (win + loss)), risk)

    def enough(needs: int) -> bool:
        return all(
            float(_pmf(more, win + loss) @ passes[: more + 1]) >= power - 1e-9
            for more in range(needs, needs + ROW)
        )

    found = bisect_left(range(1, MOST_NEEDS + 1), True, key=enough) + 1
    return found if found <= MOST_NEEDS else None


@lru_cache(maxsize=16)
def gain_interval(found: Duel, confidence: float, seed: int) -> tuple[float, float]:
    """Bounds of the gain in right cases (-1.0 to 1.0), by the paired bootstrap over needs.

    Percentile method (Efron 1979), RESAMPLES draws; the same seed gives the same bounds.
    """
    kinds = Counter(zip(found.gains, found.sizes, strict=True))
    table = np.array(list(kinds), dtype=float)  # (kinds, 2): gain and size
    shares = np.array(list(kinds.values())) / found.needs
    drawn = np.random.default_rng(seed).multinomial(found.needs, shares, size=RESAMPLES)
    gains = (drawn @ table[:, 0]) / (drawn @ table[:, 1])
    low, high = np.quantile(gains, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95% score interval of a share (Wilson 1927): honest for few cases, never outside 0..1."""
    share, width = right / total, Z * Z / total
    middle = (share + width / 2) / (1 + width)
    half = Z * sqrt(share * (1 - share) / total + width / total / 4) / (1 + width)
    return max(0.0, middle - half), min(1.0, middle + half)


def upper_bound(lost: int, of: int) -> float:
    """One-sided upper bound of the share lost (Clopper and Pearson 1934), by SURE; 1.0 of none."""
    return float(betaincinv(lost + 1, of - lost, SURE)) if lost < of else 1.0


def chance_of_so_many(lost: int, of: int, share: float) -> float:
    """Chance that at least `lost` of `of` go where each goes with the chance `share`."""
    return float(bdtrc(lost - 1, of, share)) if lost else 1.0


def _passes(most: int, share: float, risk: float) -> np.ndarray:
    """For 0 to `most` needs that differ, the chance that enough are won; (most + 1,)."""
    differ = np.arange(most + 1)
    chances: np.ndarray = bdtrc(_wins_to_pass(most, risk) - 1, differ, share)
    return chances


@lru_cache(maxsize=8)
def _wins_to_pass(most: int, risk: float) -> np.ndarray:
    """For 0 to `most` needs that differ, the fewest wins for a yes, one more than all for never."""
    wins = np.empty(most + 1)
    for differ in range(most + 1):
        tails = np.cumsum(_pmf(differ, 0.5)[::-1])  # of all wins, all but one, ...
        wins[differ] = differ + 1 - np.count_nonzero(tails <= risk * (1 + 1e-12))
    return wins


def _pmf(needs: int, share: float) -> np.ndarray:
    """Chances that 0 to `needs` of them differ; (needs + 1,)."""
    k = np.arange(needs + 1)
    ways = gammaln(needs + 1) - gammaln(k + 1) - gammaln(needs - k + 1)
    chances: np.ndarray = np.exp(ways + xlogy(k, share) + xlog1py(needs - k, -min(1.0, share)))
    return chances
