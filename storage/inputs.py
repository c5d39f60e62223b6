"""What a reply was made from, as JSON in its message's row, and back."""

from dataclasses import asdict, fields
from sys import intern
from typing import Any, TypeVar

import orjson

from storage.records import Example, Inputs, Passage
from storage.text import to_json

_Record = TypeVar("_Record", Passage, Example)
_KNOWN: dict[type, set[str]] = {
    kind: {field.name for field in fields(kind)} for kind in (Passage, Example)
}


def inputs_to_json(inputs: Inputs) -> str:
    """All of `inputs` as one JSON object."""
    return to_json(asdict(inputs))


def inputs_from_json(text: str) -> Inputs:
    """The `Inputs` that `inputs_to_json` wrote; fields of another version are left out."""
    stored = orjson.loads(text)
    return Inputs(
        question=stored["question"],
        instructions=intern(stored["instructions"]),  # many rows have the same
        instructions_version=stored["instructions_version"],
        history=tuple(stored.get("history", ())),
        passages=_records(Passage, stored.get("passages")),
        examples=_records(Example, stored.get("examples")),
    )


def _records(kind: type[_Record], stored: list[dict[str, Any]] | None) -> tuple[_Record, ...]:
    known = _KNOWN[kind]
    return tuple(
        [kind(**{name: item[name] for name in item if name in known}) for item in stored or ()]
    )
