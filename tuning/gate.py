"""The rule that decides whether an adapter may serve. Pure; reasons in words.

The candidate must beat what serves on *new wordings*, need by need: of the needs at which only one
of the two is better, so many must be the candidate's that a fair coin would do it with a chance of
`gate_risk` at most (the exact one-sided sign test, which is McNemar's exact test for pairs). With
`gate_many` needs the gain's bootstrap interval must lie above 0 too.

What can only veto: an opponent that has more right, among them the base with examples in its
prompt; answers that were right and are lost; new needs; the general questions; a phrase or a secret
that was taught and turns other questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.records import Split, Verdict
from tuning.config import RoundConfig
from tuning.evaluate import Evaluation
from tuning.evidence import (
    MOST_NEEDS,
    RESAMPLES,
    SURE,
    Duel,
    chance_of_so_many,
    chance_to_pass,
    duel,
    false_promotion,
    gain_interval,
    least_needs,
    needs_for_power,
    sign_test,
    upper_bound,
)
from tuning.probes import Probed, kept_in_words, refusals
from tuning.sentinel import in_words

GAIN = (0.4, 0.1)
"""Chances to win and to lose a need, for which the sign rule's misses are stated."""
NAMES = {
    "base": "the base",
    "few_shot": "the base with examples",
    "candidate_alone": "the candidate without examples",
    "serving_alone": "what serves without examples",
    "base_alone": "the base without examples",
}
"""How the reasons call the rows."""
HOW = "a need counts from its third wording on, or with a paraphrase of its question"


@dataclass(frozen=True)
class Decision:
    """The verdict with its reasons, each a sentence for the person who decides."""

    verdict: Verdict
    reasons: tuple[str, ...]


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
    probes: Sequence[Probed] = (),
) -> Decision:
    """The verdict on the row `candidate` against `serving` and every other row.

    `sentinel` is what was measured by likelihood; without it only the answered general questions
    count. `probes` are what strangers taught, tried. Raises ValueError when a row lacks a case:
    half an evaluation decides nothing.
    """
    found = _Found(evaluations)
    if evaluations and "serving" not in found.rows:
        raise ValueError("the row 'serving' was not evaluated")
    verdict, reasons = _new_wordings(found.duel("serving", "new wordings"), config)
    measured = _likelihoods(sentinel, config)
    vetoes = [
        *refusals(probes),
        *_forgotten(found, config.sentinel_keep),
        *(said for said, bad in measured if bad),
        *_new_needs(found, config.gate_risk),
        *_lost_answers(found, config),
        *_beaten(found),
    ]
    if vetoes:
        return Decision("reject", (*vetoes, *reasons))
    rest = (
        *_compared(found),
        *_kept(found),
        *(said for said, _ in measured),
        *kept_in_words(probes),
    )
    return Decision(verdict, (*reasons, *rest))


class _Found:
    """The evaluations by row and slice, checked to be whole."""

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        self._table: dict[tuple[str, Split], dict[str, bool]] = {}
        self._need_of = {one.case_id: one.group for one in evaluations}
        for one in evaluations:
            self._table.setdefault((one.row, one.slice), {})[one.case_id] = one.right
        for (row, part), cases in self._table.items():
            if cases.keys() != self._table.get(("candidate", part), {}).keys():
                raise ValueError(f"candidate and {row} were not asked the same cases of {part!r}")
        self.rows = sorted({row for row, _ in self._table} - {"candidate"})

    def has(self, row: str, part: Split) -> bool:
        """Whether this row answered cases of this slice."""
        return (row, part) in self._table

    def duel(self, other: str, part: Split) -> Duel:
        """The candidate against `other`, of no cases where one of them was not asked."""
        mine = self._table.get(("candidate", part), {})
        theirs = self._table.get((other, part))
        return duel({} if theirs is None else mine, theirs or {}, self._need_of)


def _new_wordings(found: Duel, config: RoundConfig) -> tuple[Verdict, list[str]]:
    least = least_needs(config.gate_risk)
    if not found.cases:
        return "not enough evidence", [
            f"No new wording was held out, and {least} needs are the least that can decide: {HOW}."
        ]
    said = (
        f"On {_cases(found, 'new wording')} the candidate has {found.right} right "
        f"and what serves has {found.other_right}"
    )
    if found.needs < least:
        more = max(_needed(found, config) or 0, least) - found.needs
        return "not enough evidence", [
            f"{said}; {least} needs are the least that can decide, so about {more} more are "
            f"needed on new wordings ({HOW})."
        ]
    if found.wins <= found.losses:
        return "reject", [f"{said}: it does not beat what serves.", *_sureness(found, config)]
    chance = sign_test(found.wins, found.losses)
    once = f"chance alone would do that once in {int(1 / chance)} rounds ({_test(found, config)})"
    if chance <= config.gate_risk and _clear(found, config):
        return "promote", [f"{said}; {once}.", *_sureness(found, config)]
    return "not enough evidence", [
        f"{said}: better, but {once}; {_more(found, config)}.",
        *_sureness(found, config),
    ]


def _cases(found: Duel, name: str) -> str:
    cases = f"{found.cases} {name}" + "s" * (found.cases != 1)
    return cases if found.needs == found.cases else f"{cases} of {found.needs} needs"


def _test(found: Duel, config: RoundConfig) -> str:
    """How the test is called, with what went into it."""
    name = "exact McNemar test" if found.needs >= config.gate_many else "sign rule"
    return f"{name}, {found.wins} needs better and {found.losses} worse"


def _more(found: Duel, config: RoundConfig) -> str:
    total = _needed(found, config)
    if total is None:
        return f"at this rate no number of needs up to {MOST_NEEDS} would show it"
    more = max(1, total - found.needs)
    return (
        f"at this rate about {more} more are needed on new wordings to show it with a chance of "
        f"{config.gate_power:.0%} ({HOW})"
    )


def _needed(found: Duel, config: RoundConfig) -> int | None:
    win, loss = found.wins / found.needs, found.losses / found.needs
    return needs_for_power(win, loss, config.gate_risk, config.gate_power)


def _clear(found: Duel, config: RoundConfig) -> bool:
    """Whether the interval of the gain, where there are needs enough for one, lies above 0."""
    return found.needs < config.gate_many or _interval(found, config)[0] > 0


def _interval(found: Duel, config: RoundConfig) -> tuple[float, float]:
    return gain_interval(found, 1 - 2 * config.gate_risk, config.seed)


def _sureness(found: Duel, config: RoundConfig) -> list[str]:
    """How far the comparison can be trusted: an interval, or with few needs the rule's errors."""
    if found.needs >= config.gate_many:
        low, high = _interval(found, config)
        return [
            f"The gain is {(found.right - found.other_right) / found.cases:+.1%} of the cases, "
            f"with {1 - 2 * config.gate_risk:.0%} confidence {low:+.1%} to {high:+.1%} (paired "
            f"bootstrap, {RESAMPLES} resamples, seed {config.seed})."
        ]
    wrong = false_promotion(found.needs, config.gate_risk)
    missed = 1 - chance_to_pass(found.needs, *GAIN, config.gate_risk)
    return [
        f"With {found.needs} needs this rule lets an adapter that is no better serve in "
        f"{wrong:.1%} of rounds at most, and misses one that wins {GAIN[0]:.0%} of them and "
        f"loses {GAIN[1]:.0%} in {missed:.0%}."
    ]


def _beaten(found: _Found) -> list[str]:
    """Opponents that have more right on new wordings; rows `_alone` are there to compare."""
    said = []
    for row in found.rows:
        other = found.duel(row, "new wordings")
        if row != "serving" and not row.endswith("_alone") and other.right < other.other_right:
            said.append(
                f"On {other.cases} new wordings {_name(row)} has {other.other_right} right "
                f"and the candidate {other.right}."
            )
    return said


def _compared(found: _Found) -> list[str]:
    """What the rows other than what serves have right of the same new wordings."""
    rows = [row for row in found.rows if row != "serving" and found.has(row, "new wordings")]
    had = [f"{_name(row)} has {found.duel(row, 'new wordings').other_right}" for row in rows]
    return [f"Of the same new wordings {', '.join(had)} right."] * bool(had)


def _name(row: str) -> str:
    return NAMES.get(row, row.replace("_", "-"))


def _lost_answers(found: _Found, config: RoundConfig) -> list[str]:
    """A veto when more new wordings went from right to wrong than chance gives at their limit."""
    other = found.duel("serving", "new wordings")
    chance = chance_of_so_many(other.lost, other.cases, config.previous_lost)
    if not other.lost or chance > config.gate_risk:
        return []
    return [
        f"Of {other.other_right} new wordings that what serves has right the candidate loses "
        f"{other.lost}; of all {other.cases} {config.previous_lost:.0%} may go, and what chance "
        "adds to that."
    ]


def _forgotten(found: _Found, keep: float) -> list[str]:
    before, kept = _sentinel(found)
    if not before or kept >= keep * before - 1e-9:
        return []
    return [
        f"Of {before} general questions that were right before, {kept} still are; "
        f"at least {keep:.0%} must be."
    ]


def _kept(found: _Found) -> list[str]:
    before, kept = _sentinel(found)
    return [f"Of {before} general questions that were right before, {kept} still are."] * bool(
        before
    )


def _sentinel(found: _Found) -> tuple[int, int]:
    """General questions right before, and how many of those the candidate still has right.

    "Before" is the base when it was asked: an adapter that forgot must not excuse the next.
    """
    row = "base" if found.has("base", "sentinel") else "serving"
    other = found.duel(row, "sentinel")
    return other.other_right, other.other_right - other.lost


def _likelihoods(report: SentinelReport | None, config: RoundConfig) -> list[tuple[str, bool]]:
    """What the likelihoods say, each with whether it is a veto."""
    if report is None:
        return []
    nats = (
        f"By likelihood the base's right answers to {report.items} general items "
        f"{in_words(report.nats_lost)} a token; {config.sentinel_nats:g} may go."
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


def _new_needs(found: _Found, risk: float) -> list[str]:
    other = found.duel("serving", "new needs")
    if other.losses <= other.wins or sign_test(other.losses, other.wins) > risk:
        return []
    return [
        f"On {_cases(other, 'case')} that were never taught the candidate has {other.right} right "
        f"where what serves has {other.other_right}."
    ]
