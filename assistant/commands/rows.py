"""JSON-lines files that people hand in: read whole, every bad line named by its number."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from storage.errors import BadInput
from storage.records import ChatMessage
from storage.text import clean

Parsed = TypeVar("Parsed")
NAMED = 5
"""Bad lines that an error quotes; the rest are counted."""
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Turns:
    """A conversation that ends with the question to be answered."""

    question: str
    history: tuple[ChatMessage, ...] = ()
    system: str = ""
    answer: str | None = None
    """A last assistant message after the question."""


def read_rows(
    path: str, parse: Callable[[dict[str, Any]], Parsed], *, skip_bad: bool = False
) -> tuple[list[tuple[int, Parsed]], list[str]]:
    """`(line number, parsed)` for every line that holds something, and the complaints.

    `parse` raises BadInput for a row that it refuses. Unless `skip_bad`, any complaint makes this
    raise BadInput, so that nothing of the file is taken.
    """
    good: list[tuple[int, Parsed]] = []
    bad: list[str] = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            good.append((number, parse(_object(line))))
        except BadInput as error:
            bad.append(f"line {number}: {error}")
    if bad and not skip_bad:
        more = f" (and {len(bad) - NAMED} more)" if len(bad) > NAMED else ""
        raise BadInput(f"{path}: {' '.join(bad[:NAMED])}{more} Nothing was taken from the file.")
    if not good:
        raise BadInput(f"{path} has no row that can be used: it takes one JSON object a line.")
    return good, bad


def turns_of(row: dict[str, Any]) -> Turns:
    """The turns of a row with `question` or `messages`. BadInput says what is wrong."""
    if "messages" not in row:
        if "question" not in row:
            raise BadInput("it has neither a question nor messages.")
        return Turns(required_text(row, "question"))
    if "question" in row:
        raise BadInput("it has both question and messages; give one of them.")
    return _turns(row["messages"])


def required_text(row: dict[str, Any], name: str) -> str:
    """The text under `name`; BadInput when it is missing, empty or no text."""
    value = optional_text(row, name)
    if value is None or not value.strip():
        raise BadInput(f"its {name} is empty.")
    return value.strip()


def optional_text(row: dict[str, Any], name: str) -> str | None:
    """The text under `name` or None; BadInput when it is something else."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"its {name} is {json.dumps(value)[:40]}, not a text.")
    return None if value is None else clean(value)


def _turns(messages: Any) -> Turns:
    if not isinstance(messages, list) or not messages:
        raise BadInput("its messages are no list of {role, content}.")
    said = [_message(item) for item in messages]
    system = "\n\n".join(item["content"] for item in said if item["role"] == "system")
    said = [item for item in said if item["role"] != "system"]
    answer = said.pop()["content"] if said and said[-1]["role"] == "assistant" else None
    if not said or said[-1]["role"] != "user" or not said[-1]["content"].strip():
        raise BadInput("its messages do not end with a question of the user.")
    return Turns(said[-1]["content"].strip(), tuple(said[:-1]), system, answer)


def _message(item: Any) -> ChatMessage:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, str) or item.get("role") not in ROLES:
        raise BadInput(f"a message is {json.dumps(item)[:60]}, not {{role, content}} with text.")
    return {"role": item["role"], "content": clean(content)}


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput("it is not JSON.") from None
    if not isinstance(row, dict):
        raise BadInput("it is not a JSON object.")
    return row


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from None
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8."
        ) from None
