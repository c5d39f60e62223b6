"""What must not train, found while the rows of a bundle pass by, one after the other."""

from collections.abc import Iterable, Sequence

from storage.errors import BadInput
from storage.records import ChatMessage
from tuning.augment import same_words
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.rows import TAUGHT, TrainRow
from tuning.sentinel import Choice


class BundleCheck:
    """Give it every training row, then call `end`. Both raise BadInput.

    Of a row it keeps the id alone, about 150 bytes.
    """

    def __init__(
        self,
        config: RoundConfig,
        heldout: Sequence[Case],
        sentinel: Sequence[Case],
        likelihood: Sequence[Choice],
    ) -> None:
        self._config = config
        self._judging = _Judging(heldout, sentinel, likelihood)
        self._corrections: dict[str, bool] = {}  # of every row's id, whether it is a correction's
        self._waiting: dict[str, str] = {}  # what a variant is of -> the variant's id
        self._thumbs = 0
        self._taught = self._compared = False

    def row(self, row: TrainRow) -> None:
        """Takes one row in."""
        if row.id in self._corrections:
            raise BadInput("Two training rows of the bundle have the same id.")
        self._corrections[row.id] = row.kind == "correction"
        if not row.prompt_ids or not row.completion_ids:
            raise BadInput(f"The training row {row.id!r} has an empty prompt or completion.")
        if (row.kind in ("variant", "raft")) != (row.of is not None):
            raise _no_variant(row.id)
        if row.of is not None and not self._corrections.get(row.of):
            self._waiting.setdefault(row.of, row.id)
        if (row.kind == "thumb") != (row.label is not None) or row.kind == "rejected":
            raise BadInput(f"The training row {row.id!r} has no label, or one too many.")
        if self._judging.has(row):
            raise BadInput(f"The training row {row.id!r} is also held out; a pair can be one only.")
        self._thumbs += row.kind == "thumb"
        self._taught |= row.kind in TAUGHT
        self._compared |= row.kind in TAUGHT and bool(row.rejected_ids)

    def rows(self, rows: Iterable[TrainRow]) -> Iterable[TrainRow]:
        """The rows as they are, each taken in, and the end after the last."""
        for row in rows:
            self.row(row)
            yield row
        self.end()

    def end(self) -> None:
        """Raises for what only all rows together show."""
        if not self._taught:
            raise BadInput("The bundle has no corrections to train on; approve some first.")
        for of, variant in self._waiting.items():
            if not self._corrections.get(of):
                raise _no_variant(variant)
        if self._thumbs == 1:
            raise BadInput("The bundle has one thumb, and KTO measures thumbs by each other.")
        if self._config.objective == "dpo" and not self._compared:
            raise BadInput(
                "The bundle has no rejected answer, and DPO compares each pair with one."
            )


class _Judging:
    """What judges: nothing of it may train, not by id, prompt or question, nor a whole need."""

    def __init__(
        self, heldout: Sequence[Case], sentinel: Sequence[Case], likelihood: Sequence[Choice]
    ) -> None:
        cases = (*heldout, *sentinel)
        self._ids = {case.id for case in cases}
        self._prompts = {case.prompt_ids for case in cases}
        self._prompts |= {choice.prompt_ids for choice in likelihood}
        self._questions = {asked(case.messages) for case in cases}
        self._groups = {case.group for case in heldout if case.slice == "new needs"}

    def has(self, row: TrainRow) -> bool:
        return (
            row.id in self._ids
            or row.of in self._ids
            or row.prompt_ids in self._prompts
            or asked(row.messages) in self._questions
            or (row.kind != "replay" and row.group in self._groups)
        )


def asked(messages: Sequence[ChatMessage]) -> tuple[int, str]:
    """The conversation's length with its last question, words compared without case.

    What trains and what judges may not be the same by this.
    """
    last = messages[-1]["content"] if messages else ""
    return len(messages), same_words(last)


def _no_variant(id: str) -> BadInput:
    return BadInput(f"The training row {id!r} is no variant of a correction here.")
