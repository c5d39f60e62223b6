"""A small round on the tiny base: needs with a few wordings, as a bundle."""

import dataclasses
from typing import Any

import pytest
from tokenizers import Tokenizer

from tuning.bundle import TrainRow
from tuning.evaluate import Case

INSTRUCTIONS = "You are a helpful assistant of a small company."
NEEDS = {
    "closed": (
        "SELECT id FROM sales_orders WHERE status = 'Closed'",
        ["List the completed orders", "Which orders are completed", "completed orders please"],
    ),
    "return": (
        "You can return it within 30 days.",
        ["How do I return a product", "Can I return a product", "return of a product"],
    ),
}


class Words:
    """Rows and cases on the tiny base's tokenizer, rendered as its template does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def prompt(self, question: str) -> tuple[tuple[dict[str, str], ...], tuple[int, ...]]:
        """The messages and the prompt's ids."""
        messages = (
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": question},
        )
        turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        return messages, self.ids(turns + "<|im_start|>assistant\n")

    def ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, markers read as markers."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def text(self, ids: list[int]) -> str:
        """What token ids say, without markers."""
        return str(self._tokenizer.decode(ids))

    def row(self, id: str, group: str, question: str, completion: str, **more: Any) -> TrainRow:
        """A training row."""
        messages, prompt_ids = self.prompt(question)
        ids = self.ids(completion + "<|im_end|>")
        return TrainRow(id, group, messages, prompt_ids, completion, ids, **more)

    def case(self, id: str, group: str, question: str, expected: str, slice: str) -> Case:
        """A case judged by its exact text."""
        messages, prompt_ids = self.prompt(question)
        return Case(id, group, slice, messages, prompt_ids, expected, {"type": "exact"})


@pytest.fixture(scope="session")
def words(tiny_base):
    """Makes rows and cases on the tiny base."""
    return Words(Tokenizer.from_file(str(tiny_base.folder / "tokenizer.json")))


@pytest.fixture(scope="session")
def rows(words):
    """Four pairs over two needs, two variants, a replay row."""
    pairs = [
        words.row(f"{group}-{number}", group, question, completion)
        for group, (completion, questions) in NEEDS.items()
        for number, question in enumerate(questions[:2])
    ]
    variants = [
        words.row(f"{pair.id}~0", pair.group, question, pair.completion, kind="variant", of=pair.id)
        for pair, question in zip(pairs, ["the completed", "orders completed"], strict=False)
    ]
    return [
        *pairs,
        *variants,
        words.row("replay-0", "", "Thank you", "You are welcome", kind="replay"),
    ]


@pytest.fixture(scope="session")
def compared(words, rows):
    """The four pairs with a wrong answer each, of different lengths."""
    wrong = ["You can return it", "SELECT", "Thank you for asking!", "Bonjour, ça va? Thank you"]
    pairs = [row for row in rows if row.kind == "correction"]
    return [
        dataclasses.replace(row, rejected=text, rejected_ids=words.ids(text + "<|im_end|>"))
        for row, text in zip(pairs, wrong, strict=True)
    ]


@pytest.fixture(scope="session")
def thumbs(words):
    """Five replies with thumbs, three up and two down."""
    said = [
        ("List the completed orders", "SELECT id FROM sales_orders", True),
        ("How do I return a product", "Thank you for asking!", False),
        ("Thank you", "You can return it within 30 days.", False),
        ("Which orders are completed", "status = 'Closed'", True),
        ("Bonjour, ça va?", "Thank you", True),
    ]
    return [
        words.row(f"thumb-{number}", f"t{number}", question, answer, kind="thumb", label=label)
        for number, (question, answer, label) in enumerate(said)
    ]


@pytest.fixture(scope="session")
def heldout(words):
    """One case per need, in a wording that does not train."""
    return [
        words.case(f"h-{group}", group, questions[2], completion, "new wordings")
        for group, (completion, questions) in NEEDS.items()
    ]


@pytest.fixture(scope="session")
def sentinel(words):
    """One general question."""
    return [words.case("s-0", "", "Bonjour, ça va?", "You", "sentinel")]
