"""A skill to be taught: its instructions, its check, its cases and how answers are measured."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """One question with the answer a person wants."""

    question: str
    answer: str = ""
    facts: tuple[str, ...] = ()
    """What must be said, each alone; the rest of the answer depends on what the asked one sees."""


@dataclass(frozen=True)
class Cases:
    """What is taught, and other items that are asked before and after."""

    taught: tuple[Item, ...]
    asked: tuple[Item, ...]


@dataclass(frozen=True)
class Reply:
    """What was said to a question, and the passages that were shown, in their order."""

    answer: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """A figure and how it is printed."""

    value: float
    text: str


Scores = dict[str, Score]


@dataclass(frozen=True)
class Skill:
    """One skill. `measure` takes the cases and a reply to each that is asked, in their order."""

    name: str
    instructions: str
    checks: Sequence[Mapping[str, Any]]
    read: Callable[[Path | None], Cases]
    measure: Callable[[Cases, Sequence[Reply]], Scores]
    judged_by: str
    """The measure in which the taught adapter must be above every other way."""
    minutes: float
    """Minutes of training."""
    max_tokens: int
    """Tokens of an answer at most."""
    example_tokens: int
    """Of few-shot examples, for the base that is shown some."""
    aims: Mapping[str, float] = field(default_factory=dict)
    """Least values of the taught adapter."""
    settings: Sequence[str] = ()
    """Further settings of the workspace, KEY=VALUE."""
    documents: Path | None = None
    """A folder that the workspace's answers are about."""
    write: Callable[[Item, Sequence[str]], str] | None = None
    """The wanted answer to an item by the passages it was shown; "" where they do not hold it."""
    ceiling: bool = True
    """Whether the wanted answers are measured too: what a person comes to."""


def share(right: Sequence[bool]) -> Score:
    """How many of them."""
    value = sum(right) / len(right) if right else 0.0
    return Score(value, f"{sum(right)} of {len(right)}")


def mean(values: Sequence[float]) -> Score:
    """Their mean."""
    value = sum(values) / len(values) if values else 0.0
    return Score(value, f"{value:.3f}")


def draw(rows: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The rows, one of each text in `key`, in an order by chance that is always the same."""
    once = {" ".join(row[key].casefold().split()): row for row in rows}
    return [once[text] for text in sorted(once, key=_chance)]


def _chance(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def in_folder(folder: Path | None, name: str) -> Path:
    """The file of that name in the folder of cases; exits where there is none."""
    if folder is None or not (folder / name).is_file():
        raise SystemExit(f"{name} is needed: give --cases FOLDER with that file in it.")
    return folder / name
