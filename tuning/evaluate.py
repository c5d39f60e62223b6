"""Held-out cases answered by every opponent and judged by execution."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    few_shot_ids: tuple[int, ...] = ()
    """The prompt with near corrections as examples, for the row `few_shot`; empty: not asked."""
    bare_ids: tuple[int, ...] = ()
    """The prompt without the examples that service shows, for rows `_alone`; empty: it has none."""
    approved: tuple[tuple[str, float], ...] = ()
    """Answers approved for near questions, which service weighs with an adapter's own, each with
    the cosine similarity of the questions."""


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


Prompt = tuple[tuple[int, ...], tuple[tuple[str, float], ...], bool]
"""What is asked: token ids, the approved answers that are weighed, and whether it is a general
question, which is held to no format."""
Scores = dict[str, dict[str, dict[str, int]]]
"""Row -> slice -> {"right", "total"}."""


def evaluate(
    cases: Sequence[Case],
    answer: Answer,
    rows: Mapping[str, int | None],
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Evaluation]:
    """Every case answered for every row; the same prompt to the same adapter is answered once.

    A row's name says which of a case's prompts it gets: see `as_asked`. Stops between rows when
    `cancelled()`; what is missing then must not reach the gate. Raises BadInput when a case's
    check cannot be used.
    """
    evaluations: list[Evaluation] = []
    answers: dict[tuple[int | None, Prompt], str] = {}
    for row, adapter_id in rows.items():
        if cancelled():
            break
        asked = as_asked(cases, row)
        new = [one for one in _once(asked) if (adapter_id, _prompt(one)) not in answers]
        if new:
            said = answer(new, adapter_id)
            for one, text in zip(new, said, strict=True):
                answers[adapter_id, _prompt(one)] = text
        for case in asked:
            text = answers[adapter_id, _prompt(case)]
            right = judge(case.check, case.expected, text)
            evaluations.append(Evaluation(case.id, row, text, right, case.slice, case.group))
    return evaluations


def as_asked(cases: Sequence[Case], row: str) -> list[Case]:
    """The cases with the prompt that this row gets; without those that it has none for.

    `few_shot` gets near corrections as examples, a row that ends in `_alone` the prompt without
    examples or approved answers, every other row the prompt as service sends it.
    """
    if row == "few_shot":
        prompts = [case.few_shot_ids for case in cases]
    elif row.endswith("_alone"):
        prompts = [case.bare_ids for case in cases]
    else:
        return list(cases)
    return [
        replace(case, prompt_ids=prompt, approved=())
        for case, prompt in zip(cases, prompts, strict=True)
        if prompt
    ]


def count_answers(cases: Sequence[Case], rows: Mapping[str, int | None]) -> int:
    """How many answers `evaluate` asks for."""
    asked = [(id, _prompt(one)) for row, id in rows.items() for one in as_asked(cases, row)]
    return len(set(asked))


def _once(cases: Sequence[Case]) -> list[Case]:
    """The first case of each prompt."""
    return list({_prompt(case): case for case in reversed(cases)}.values())[::-1]


def _prompt(case: Case) -> Prompt:
    return case.prompt_ids, case.approved, case.slice == "sentinel"


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
