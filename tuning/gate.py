"""The rule that decides whether an adapter may serve. Pure; reasons in words.

The candidate must beat what serves on *new wordings*, case by case: of the cases that only one of
the two has right, so many must be the candidate's that a fair coin would do it with a chance of
`gate_risk` at most (the exact one-sided sign test, which is McNemar's exact test for pairs).
*New needs*, the general questions and every other opponent can only veto.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from scipy.special import betaincinv

from storage.records import Split, Verdict
from tuning.config import RoundConfig
from tuning.evaluate import Evaluation

MOST_CASES = 1_000
"""Further cases looked at when saying how many are missing."""
SURE = 0.95
"""Confidence of the one-sided bound on the general items lost."""


@dataclass(frozen=True)
class Decision:
    """The verdict with its reasons, each a sentence for the person who decides."""

    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Duel:
    """Two rows on the same cases: `wins` only the candidate has right, `losses` only the other."""

    cases: int
    right: int
    other_right: int
    wins: int
    losses: int


@dataclass(frozen=True)
class SentinelReport:
    """What the candidate lost of the base's general ability, measured by likelihood."""

    items: int
    """General items scored."""
    base_right: int
    """Of those, how many the base has right."""
    lost: int
    """Of those, how many the candidate has wrong."""
    nats_lost: float
    """Nats a token that the base's right answers lost, on average; negative where they gained."""


def decide(
    evaluations: Sequence[Evaluation],
    config: RoundConfig,
    *,
    sentinel: SentinelReport | None = None,
) -> Decision:
    """The verdict on the row `candidate` against `serving` and every other row.

    `sentinel` is what was measured by likelihood; without it only the answered general questions
    count. Raises ValueError when a row lacks a case: half an evaluation decides nothing.
    """
    table = _table(evaluations)
    rows = sorted({row for row, _ in table} - {"candidate"})
    if evaluations and "serving" not in rows:
        raise ValueError("the row 'serving' was not evaluated")
    measured = _likelihoods(sentinel, config)
    vetoes = [*_vetoes(table, rows, config), *(said for said, bad in measured if bad)]
    verdict, reason = _new_wordings(_duel(table, "serving", "new wordings"), config.gate_risk)
    if vetoes:
        return Decision("reject", (*vetoes, reason))
    return Decision(verdict, (reason, *_kept(table), *(said for said, _ in measured)))


def sign_test(wins: int, losses: int) -> float:
    """Chance that a fair coin gives at least `wins` heads in `wins + losses` throws."""
    throws = wins + losses
    return sum(comb(throws, heads) for heads in range(wins, throws + 1)) / 2**throws


def cases_missing(duel: Duel, risk: float) -> int | None:
    """Further cases until the test would say yes if wins and losses go on as they did.

    A duel without a win is taken to win every further case. None: never within MOST_CASES.
    """
    cases = max(duel.cases, 1)
    win_rate = duel.wins / cases if duel.wins else 1.0
    loss_rate = duel.losses / cases
    for more in range(1, MOST_CASES + 1):
        wins = duel.wins + int(more * win_rate)
        losses = duel.losses + -int(-more * loss_rate // 1)
        if sign_test(wins, losses) <= risk:
            return more
    return None


Table = dict[tuple[str, Split], dict[str, bool]]


def _table(evaluations: Sequence[Evaluation]) -> Table:
    table: Table = {}
    for one in evaluations:
        table.setdefault((one.row, one.slice), {})[one.case_id] = one.right
    for (row, part), cases in table.items():
        if cases.keys() != table.get(("candidate", part), {}).keys():
            raise ValueError(f"candidate and {row} were not asked the same cases of {part!r}")
    return table


def _duel(table: Table, other: str, part: Split) -> Duel:
    mine, theirs = table.get(("candidate", part), {}), table.get((other, part), {})
    both = [(mine[case], theirs[case]) for case in mine]
    return Duel(
        cases=len(both),
        right=sum(one for one, _ in both),
        other_right=sum(two for _, two in both),
        wins=sum(one and not two for one, two in both),
        losses=sum(two and not one for one, two in both),
    )


def _new_wordings(duel: Duel, risk: float) -> tuple[Verdict, str]:
    if not duel.cases:
        return "not enough evidence", (
            "No new wording was held out: a need is judged from its third wording on, "
            f"and {_needed(risk)} such needs are the least that can decide."
        )
    said = (
        f"On {duel.cases} new wordings the candidate has {duel.right} right "
        f"and what serves has {duel.other_right}"
    )
    chance = sign_test(duel.wins, duel.losses)
    if duel.wins > duel.losses and chance <= risk:
        return "promote", f"{said}; chance alone would do that once in {_once_in(chance)} rounds."
    if duel.cases < _needed(risk):
        return "not enough evidence", (
            f"{said}; {_needed(risk)} cases are the least that can decide, "
            f"so {_needed(risk) - duel.cases} more are needed."
        )
    if duel.wins <= duel.losses:
        return "reject", f"{said}: it does not beat what serves."
    more = cases_missing(duel, risk)
    wanted = f"about {more} more are needed" if more else "no number of cases would show it"
    return "not enough evidence", f"{said}: better, but it may be chance; at this rate {wanted}."


def _needed(risk: float) -> int:
    """Cases of which every one must be won."""
    cases = 1
    while sign_test(cases, 0) > risk:
        cases += 1
    return cases


def _once_in(chance: float) -> int:
    return int(1 / chance)


def _vetoes(table: Table, rows: Sequence[str], config: RoundConfig) -> list[str]:
    vetoes = [*_forgotten(table, config.sentinel_keep), *_new_needs(table, config.gate_risk)]
    for row in rows:
        duel = _duel(table, row, "new wordings")
        if row != "serving" and duel.right < duel.other_right:
            vetoes.append(
                f"On {duel.cases} new wordings {row.replace('_', '-')} has {duel.other_right} "
                f"right and the candidate {duel.right}."
            )
    return vetoes


def _forgotten(table: Table, keep: float) -> list[str]:
    before, kept = _sentinel(table)
    if not before or kept >= keep * before - 1e-9:
        return []
    return [
        f"Of {before} general questions that were right before, {kept} still are; "
        f"at least {keep:.0%} must be."
    ]


def _kept(table: Table) -> list[str]:
    before, kept = _sentinel(table)
    return [f"Of {before} general questions that were right before, {kept} still are."] * bool(
        before
    )


def _sentinel(table: Table) -> tuple[int, int]:
    """General questions right before, and how many of those the candidate still has right.

    "Before" is the base when it was asked: an adapter that forgot must not excuse the next.
    """
    row = "base" if ("base", "sentinel") in table else "serving"
    duel = _duel(table, row, "sentinel") if (row, "sentinel") in table else Duel(0, 0, 0, 0, 0)
    return duel.other_right, duel.other_right - duel.losses


def _likelihoods(report: SentinelReport | None, config: RoundConfig) -> list[tuple[str, bool]]:
    """What the likelihoods say, each with whether it is a veto."""
    if report is None:
        return []
    nats = (
        f"By likelihood the base's right answers to {report.items} general items lost "
        f"{report.nats_lost:.3f} nats a token; {config.sentinel_nats:g} may go."
    )
    worst = upper_bound(report.lost, report.base_right)
    share = (
        f"Of {report.base_right} general items that the base has right the candidate loses "
        f"{report.lost}, {SURE:.0%} sure under {worst:.1%}; {config.sentinel_lost:.0%} may go."
    )
    # With too few items not even a loss of none could show it: then only the nats count.
    shows = upper_bound(0, report.base_right) <= config.sentinel_lost
    return [
        (nats, not report.nats_lost <= config.sentinel_nats),  # NaN is a veto
        (share, shows and worst > config.sentinel_lost),
    ]


def upper_bound(lost: int, of: int) -> float:
    """One-sided upper bound of the share lost (Clopper and Pearson 1934), by SURE; 1.0 of none."""
    return float(betaincinv(lost + 1, of - lost, SURE)) if lost < of else 1.0


def _new_needs(table: Table, risk: float) -> list[str]:
    duel = _duel(table, "serving", "new needs")
    if duel.losses <= duel.wins or sign_test(duel.losses, duel.wins) > risk:
        return []
    return [
        f"On {duel.cases} cases of needs that were never taught it has {duel.right} right "
        f"where what serves has {duel.other_right}."
    ]
