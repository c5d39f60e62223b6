"""What a round trains on, row by row, and the file that holds the rows."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import orjson

from storage.records import ChatMessage

RowKind = Literal[
    "correction", "preference", "thumb", "variant", "raft", "replay", "recombined", "rejected"
]
TAUGHT: tuple[RowKind, ...] = ("correction", "preference", "thumb")
"""Kinds of rows that stand for something that a person approved; the others go with them."""


@dataclass(frozen=True)
class TrainRow:
    """One prompt with the completion to learn.

    A `preference` is a reply that was liked better than another one, a `thumb` a reply with the
    `label` that it got. A `variant` is the pair `of` with its question in other words, or its
    answer begun after another need's question; a `raft` row is that pair with its passages left
    out, or with others among them. A `replay` row holds what the base itself says to an ordinary
    prompt, so that the round does not make it forget. A `recombined` row has a new query made of
    taught ones, and the question that the round wrote to it. `rejected_ids` are the beginning of
    the wrong answer. A `rejected` row is made of them in a step, and never in a bundle.
    """

    id: str
    group: str
    messages: tuple[ChatMessage, ...]
    prompt_ids: tuple[int, ...]
    completion: str
    completion_ids: tuple[int, ...]
    rejected: str | None = None
    kind: RowKind = "correction"
    of: str | None = None
    rejected_ids: tuple[int, ...] = ()
    label: bool | None = None


class RowFile(Sequence[TrainRow]):
    """The rows in a file of JSON lines, each read when it is asked for: only places are held.

    Equal to any sequence of the same rows. Raises OSError, ValueError, KeyError or TypeError where
    the file is gone or a line is no row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = array("Q", _places(path))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> TrainRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[TrainRow]: ...
    def __getitem__(self, place: int | slice) -> TrainRow | list[TrainRow]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        with self._path.open("rb") as file:
            file.seek(self._places[place])
            return _row(file.readline())

    def __iter__(self) -> Iterator[TrainRow]:
        with self._path.open("rb") as file:
            yield from (_row(line) for line in file if line.strip())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))


def write_rows(file: BinaryIO, rows: Iterable[TrainRow]) -> None:
    """The rows as JSON lines: what a `RowFile` reads. They may come from a generator."""
    # a record's own dictionary has its fields in order; copying it takes longer than writing it
    file.writelines(orjson.dumps(vars(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _places(path: Path) -> Iterator[int]:
    """Where in the file each row begins."""
    place = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield place
            place += len(line)


def _row(line: bytes) -> TrainRow:
    stored: dict[str, Any] = {"rejected_ids": (), **orjson.loads(line)}
    for name in ("messages", "prompt_ids", "completion_ids", "rejected_ids"):
        stored[name] = tuple(stored[name])
    return TrainRow(**stored)
