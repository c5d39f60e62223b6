"""Which overrides a promoted adapter makes needless: it is asked their questions without them.

An override is right at once and at no cost, but it answers these very words alone. Where the
adapter says the same by itself, the override rests while that adapter serves; see
`storage.overrides`.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.declared_checks import declared_checks
from assistant.opponents import CANDIDATE
from storage.overrides import list_overrides
from storage.records import TuningRound
from storage.workspaces import workspace_by_id
from tuning.augment import same_words
from tuning.bundle import Bundle
from tuning.checks import judge, usable_check
from tuning.evaluate import Answer, Case
from tuning.rows import TrainRow
from tuning.run import RoundResult

ASKED_AT_MOST = 100
"""Questions asked after a round, about a second each on two cores; other overrides stay."""


def with_learned(
    app: App,
    db: Database,
    queued: TuningRound,
    bundle: Bundle,
    result: RoundResult,
    answer: Answer,
) -> RoundResult:
    """The result, with the feedback of overrides that a candidate to be promoted answered right.

    Each question is asked as it was taught: with what service shows beside it, but for its own
    correction, and no approved answer is weighed.
    """
    if result.verdict != "promote":
        return result
    active = {str(one.feedback_id): one for one in list_overrides(db, queued.workspace_id)}
    taught = (
        row
        for row in bundle.train
        # what was taught with a placeholder is not what the override says, or is asked
        if row.kind == "correction"
        and row.id in active
        and row.completion == active[row.id].answer
        and same_words(active[row.id].question) in same_words(row.messages[-1]["content"])
    )
    newest = heapq.nlargest(ASKED_AT_MOST, taught, key=lambda row: int(row.id))
    checks = declared_checks(app, workspace_by_id(db, queued.workspace_id))
    cases = [_case(row, checks) for row in newest]
    said = answer(cases, CANDIDATE) if cases else []
    learned = tuple(
        int(case.id)
        for case, text in zip(cases, said, strict=True)
        if judge(case.check, case.expected, text)
    )
    return replace(result, learned=learned)


def _case(row: TrainRow, checks: Sequence[Mapping[str, Any]]) -> Case:
    return Case(
        id=row.id,
        group=row.group,
        slice="new wordings",
        messages=row.messages,
        prompt_ids=row.prompt_ids,
        expected=row.completion,
        check=usable_check(row.completion, checks),
    )
