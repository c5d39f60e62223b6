"""`apprentice evaluate`: how many of a file's cases are answered right, by kind of check.

Questions are answered as service answers them, but without overrides: those would answer from the
very corrections that are asked about, and say nothing about the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.app import App
from assistant.commands.ask import Asked, answers, chosen
from assistant.commands.rows import read_rows, required_text, turns_of
from assistant.declared_checks import on_a_copy
from assistant.reply import ReplyOptions
from assistant.verbs import Event
from storage.conversations import delete_conversation
from storage.errors import BadInput
from storage.records import Workspace
from storage.workspaces import workspace as workspace_named
from tuning.checks import check_for, judge
from tuning.evidence import wilson


@dataclass(frozen=True)
class Question:
    """One line of the file."""

    asked: Asked
    expected: str
    check: Mapping[str, Any]


def evaluate(
    app: App,
    *,
    workspace: str,
    file: str,
    adapter: str | None = None,
    no_examples: bool = False,
) -> Iterator[Event]:
    """A result per kind of check, then one over all. BadInput names lines that cannot be used."""
    options = ReplyOptions(
        use_overrides=False, use_examples=not no_examples, adapter=chosen(adapter)
    )
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        rows, _ = read_rows(file, lambda row: _question(app, row, found, Path(file).parent))
        questions = [question for _, question in rows]
        waiting, judged = list(questions), []
        for event in answers(app, found, [item.asked for item in questions], options):
            if "progress" in event:
                yield event
                continue
            if "conversation" in event:
                delete_conversation(db, event["conversation"])
            judged.append((waiting.pop(0), event))
    kinds = sorted({question.check["type"] for question, _ in judged})
    for kind in kinds:
        yield _score(kind, [one for one in judged if one[0].check["type"] == kind])
    if len(kinds) > 1:
        yield _score("all", judged)


def _score(kind: str, judged: Sequence[tuple[Question, Event]]) -> Event:
    wrong = [
        {"question": event["question"], "expected": question.expected, "answer": _said(event)}
        for question, event in judged
        if "error" in event or not judge(question.check, question.expected, event["answer"])
    ]
    total = len(judged)
    low, high = wilson(total - len(wrong), total)
    return {
        "check": kind,
        "cases": total,
        "right": total - len(wrong),
        "score": 1 - len(wrong) / total,
        "low": low,
        "high": high,
        "wrong": wrong,
    }


def _said(event: Event) -> str:
    return str(event.get("answer", f"(no answer: {event.get('error')})"))


def _question(app: App, row: dict[str, Any], found: Workspace, folder: Path) -> Question:
    expected = required_text(row, "expected")
    check = on_a_copy(app, _check(row, found, folder))
    if not judge(check, expected, expected):
        raise BadInput(f"its expected answer is wrong by its own {check['type']} check.")
    return Question(Asked(turns_of(row)), expected, check)


def _check(row: dict[str, Any], found: Workspace, folder: Path) -> dict[str, Any]:
    """The row's check, completed from the workspace's check of that type.

    A relative database is looked for beside the file of cases.
    """
    given = row.get("check") or check_for(row["expected"], found.settings.checks)
    if not isinstance(given, Mapping):
        raise BadInput("its check is no JSON object with a type.")
    kind = given.get("type", "exact")
    known = next((item for item in found.settings.checks if item.get("type") == kind), {})
    check = {**known, **given, "type": kind}
    if "database" in check:
        check["database"] = str(folder / Path(str(check["database"])).expanduser())
    return check
