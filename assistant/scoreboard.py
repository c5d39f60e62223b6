"""The demo's tables: which way of answering got which case right, by need and in total.

Pure but for the checks, which run SQL on the company's read-only database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.checks import judge

NEVER_TAUGHT = re.compile(r"\b(closed|done|fulfilled|finalised|wrapped|concluded)\b", re.IGNORECASE)
"""Words for the status 'Closed' that stand in no taught question; a test holds it."""


@dataclass(frozen=True)
class Judged:
    """One case with a right or wrong per way of answering."""

    question: str
    group: str
    right: tuple[bool, ...]


def judge_all(
    cases: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[str]], database: Path
) -> list[Judged]:
    """`answers[way][case]` judged by each case's check; `sql` runs on `database`."""
    return [
        Judged(
            case["question"],
            case.get("group", ""),
            tuple(
                judge({**case["check"], "database": str(database)}, case["expected"], said[number])
                for said in answers
            ),
        )
        for number, case in enumerate(cases)
    ]


def by_need(judged: Sequence[Judged], ways: Sequence[str]) -> str:
    """A line per need, then the cases in words never taught, then all of them with percentages."""
    groups = dict.fromkeys(item.group for item in judged)
    lines = [
        (group, *_counts([item for item in judged if item.group == group])) for group in groups
    ]
    untaught = [item for item in judged if is_never_taught(item)]
    total = len(judged)
    lines.append(("all", *_counts(judged)))
    lines.append(("of these, 'Closed' in words never taught", *_counts(untaught)))
    lines.append(("", "", *(f"{right(judged, way) / total:.0%}" for way in range(len(ways)))))
    lines.insert(len(groups), ("",) * (2 + len(ways)))
    return _aligned([("need", "cases", *ways), *lines])


def is_never_taught(item: Judged) -> bool:
    """Whether the case asks for closed orders in words that no taught question has."""
    return "closed" in item.group and NEVER_TAUGHT.search(item.question) is not None


def right(judged: Sequence[Judged], way: int) -> int:
    """How many cases the given way of answering got right."""
    return sum(item.right[way] for item in judged)


def kept(judged: Sequence[Judged]) -> tuple[int, int]:
    """`(still right, right before)` for cases judged before and after."""
    before = [item for item in judged if item.right[0]]
    return sum(item.right[1] for item in before), len(before)


def _counts(judged: Sequence[Judged]) -> tuple[str, ...]:
    ways = len(judged[0].right) if judged else 0
    return (str(len(judged)), *(str(right(judged, way)) for way in range(ways)))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
