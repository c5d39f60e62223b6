"""Secrets and personal data masked in what a round learns and in what leaves the house.

The rows stay as they were written, and overrides answer in the approved words. What the documents
or the instructions of the workspace say themselves is no secret, such as a support address.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlite_utils import Database

from assistant.private_values import EMAIL, PHONE, Value, masked, values
from storage.conversations import message
from storage.errors import BadInput
from storage.feedback import wanted
from storage.records import ChatMessage, Example, Feedback, Inputs, Pair, Paraphrase, Workspace
from storage.unmasked import (
    WHOLE,
    chunks_with,
    hash_of,
    unmask,
    unmasked_rows,
    unmasked_values,
)

LAST_DIGITS = 7
"""Of a telephone number, by which the documents know it: they may write it with a country's code or
without."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that a row has and a round does not learn."""

    kind: str
    text: str
    hash: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A pair as it may be learned."""

    pair: Pair
    paraphrases: tuple[Paraphrase, ...] = ()
    kinds: tuple[str, ...] = ()
    """The kind of each value that was masked, each value once."""


class Masks:
    """What is masked in one workspace, by today's documents and what reviewers freed."""

    def __init__(self, db: Database, workspace: Workspace) -> None:
        self._db = db
        self._workspace = workspace
        self._on = workspace.settings.mask
        self._rows = unmasked_rows(db, workspace.id) if self._on else frozenset()
        self._values = unmasked_values(db, workspace.id) if self._on else frozenset()
        own = values(workspace.instructions) if self._on else []
        self._spared = {(one.kind, one.key): True for one in own}

    def pair(self, pair: Pair, paraphrases: Sequence[Paraphrase] = ()) -> Masked:
        """Question, history, answers and paraphrases with one placeholder for one value.

        Examples are masked each for itself, as their own rows are; passages are the documents'.
        """
        inputs = pair.inputs
        said = [turn["content"] for turn in inputs.history]
        said += [inputs.question, pair.chosen, pair.rejected or ""]
        said += [one.question for one in paraphrases]
        texts, hidden = self._texts(pair.feedback_id, said)
        examples = self.examples(inputs.examples)
        if not hidden and examples == inputs.examples:
            return Masked(pair, tuple(paraphrases))
        turns = len(inputs.history)
        question, chosen, rejected = texts[turns : turns + 3]
        history = tuple(
            ChatMessage(role=turn["role"], content=text)
            for turn, text in zip(inputs.history, texts[:turns], strict=True)
        )
        others = zip(paraphrases, texts[turns + 3 :], strict=True)
        return Masked(
            replace(
                pair,
                group=self._group(pair),
                inputs=replace(inputs, question=question, history=history, examples=examples),
                chosen=chosen,
                rejected=None if pair.rejected is None else rejected,
            ),
            tuple(replace(one, question=text) for one, text in others),
            tuple(kind for kind, _ in dict.fromkeys((one.kind, one.key) for one in hidden)),
        )

    def examples(self, examples: tuple[Example, ...]) -> tuple[Example, ...]:
        """Near corrections as a prompt shows them, in training and where a round is judged."""
        if not self._on:
            return examples
        made = []
        for one in examples:
            (question, answer), _ = self._texts(one.feedback_id, [one.question, one.answer])
            made.append(replace(one, question=question, answer=answer))
        return tuple(made)

    def text(self, text: str) -> str:
        """One text for itself."""
        return masked([text], self._is_spared)[0][0] if self._on else text

    def hidden(self, item: Feedback, inputs: Inputs | None) -> list[Hidden]:
        """What of this row no round would learn, as its reviewer sees it, each value once."""
        history = [turn["content"] for turn in inputs.history] if inputs else []
        told: dict[str, Hidden] = {}
        if not self._on or item.id in self._rows:
            return []
        for text in (item.question, wanted(item, item.approved_correction) or "", item.answer):
            self._tell(text, told)
        for text in history:
            self._tell(text, told)
        return [one for hash, one in told.items() if hash not in self._values]

    def _tell(self, text: str, told: dict[str, Hidden]) -> None:
        for one in values(text):
            if not self._published(one):
                hash = hash_of(one.kind, one.key)
                told.setdefault(hash, Hidden(one.kind, text[one.start : one.end], hash))

    def _texts(self, feedback_id: int, texts: Sequence[str]) -> tuple[list[str], list[Value]]:
        if not self._on or feedback_id in self._rows:
            return list(texts), []
        return masked(texts, self._is_spared)

    def _group(self, pair: Pair) -> str:
        """A need is often named by its question. Masked, two needs stay two: by a hash."""
        text = self.text(pair.group)
        if text == pair.group or pair.feedback_id in self._rows:
            return pair.group
        return f"{text} {hashlib.sha256(pair.group.encode()).hexdigest()[:8]}"

    def _is_spared(self, value: Value) -> bool:
        return hash_of(value.kind, value.key) in self._values or self._published(value)

    def _published(self, value: Value) -> bool:
        """Whether the workspace says it itself."""
        known = (value.kind, value.key)
        if known not in self._spared:
            self._spared[known] = in_documents(self._db, self._workspace, value)
        return self._spared[known]


def in_documents(db: Database, workspace: Workspace, value: Value) -> bool:
    """Whether the workspace's documents say it themselves."""
    phone = value.kind == PHONE
    looked = value.key[-LAST_DIGITS:] if phone else value.key
    spaced = value.key.isalnum() and value.kind != EMAIL
    found = chunks_with(db, workspace.id, looked, compact=spaced)
    if phone:  # the documents need not say that it is one
        return bool(found)
    same = (value.kind, value.key)
    return any((one.kind, one.key) == same for text in found for one in values(text))


def free_values(
    db: Database, workspace: Workspace, item: Feedback, texts: Sequence[str], *, reviewer: str
) -> list[Hidden]:
    """Let rounds learn these values of a row, in all rows; with none of them, the row as it stands.

    Gives what is freed by it. Raises BadInput for what is not masked in the row.
    """
    found = Masks(db, workspace).hidden(item, message(db, item.message_id).inputs)
    if not texts:
        unmask(db, item.id, [WHOLE], reviewer=reviewer)
        return found
    by_text = {one.text: one for one in found}
    for text in texts:
        if text not in by_text:
            there = ", ".join(map(repr, by_text)) or "nothing"
            raise BadInput(f"{text!r} is not masked in feedback {item.id}; masked is {there}.")
    freed = [by_text[text] for text in texts]
    unmask(db, item.id, [one.hash for one in freed], reviewer=reviewer)
    return freed


def in_words(kinds: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """A sentence on how many corrections have something masked, and of which kinds."""
    some = [one for one in kinds if one]
    if not some:
        return ()
    counts = Counter(kind for one in some for kind in one)
    each = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    rows = "1 correction has" if len(some) == 1 else f"{len(some):,} corrections have"
    return (
        f"{rows} secrets or personal data, given with placeholders ({each}): "
        "`apprentice feedback show ID` says which, `feedback unmask ID` teaches it as written.",
    )
