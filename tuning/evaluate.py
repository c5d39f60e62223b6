"""Held-out cases answered by every opponent and judged by execution."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage.records import ChatMessage, Split
from tuning.checks import judge
from tuning.style import likeness

Answer = Callable[[list["Case"], int | None], list[str]]
"""Answers the cases by an adapter (None: the base), in order, as service would."""


@dataclass(frozen=True)
class Case:
    """One question that never trains, with the answer a person wanted."""

    id: str
    group: str
    slice: Split
    messages: tuple[ChatMessage, ...]
    prompt_ids: tuple[int, ...]
    expected: str
    check: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What one opponent (`row`: candidate, serving, base) said to one case."""

    case_id: str
    row: str
    answer: str
    right: bool
    slice: Split
    group: str = ""
    """The case's need; '' counts it as a need of its own."""


Scores = dict[str, dict[str, dict[str, int]]]
"""Row -> slice -> {"right", "total"}."""


def evaluate(
    cases: Sequence[Case],
    answer: Answer,
    rows: Mapping[str, int | None],
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Evaluation]:
    """Every case answered for every row; rows with the same adapter are answered once.

    Stops between adapters when `cancelled()`; what is missing then must not reach the gate.
    Raises BadInput when a case's check cannot be used.
    """
    evaluations: list[Evaluation] = []
    answers: dict[int | None, list[str]] = {}
    for row, adapter_id in rows.items():
        if cancelled():
            break
        if adapter_id not in answers:
            answers[adapter_id] = answer(list(cases), adapter_id)
        for case, text in zip(cases, answers[adapter_id], strict=True):
            right = judge(case.check, case.expected, text)
            evaluations.append(Evaluation(case.id, row, text, right, case.slice, case.group))
    return evaluations


def tally(evaluations: Sequence[Evaluation]) -> Scores:
    """How many each row has right, by slice."""
    scores: Scores = {}
    for one in evaluations:
        count = scores.setdefault(one.row, {}).setdefault(one.slice, {"right": 0, "total": 0})
        count["right"] += one.right
        count["total"] += 1
    return scores


def likeness_by_row(cases: Sequence[Case], evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Row -> mean likeness of its answers to the cases judged by style, 0 to 1.

    "author" is that of the texts themselves, which were kept back. Empty without such cases.
    """
    judged = {case.id: case for case in cases if case.check.get("type") == "style"}
    texts = [
        (one.row, judged[one.case_id], one.answer) for one in evaluations if one.case_id in judged
    ]
    texts += [("author", case, case.expected) for case in judged.values()]
    found: dict[str, list[float]] = {}
    for row, case, text in texts:
        found.setdefault(row, []).append(likeness(frozenset(case.check["grams"]), text))
    return {row: round(sum(each) / len(each), 4) for row, each in found.items()}
