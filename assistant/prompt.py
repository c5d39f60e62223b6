"""The prompt, built in one place for chat, training and evaluation alike.

Pure: the same inputs give the same messages. A model tuned on prompts that it never meets in
service learns the wrong thing, so nothing else in the house may put a prompt together.
"""

import re
from collections.abc import Sequence

from storage.records import ChatMessage, Example, Inputs, Passage

_SOURCE = re.compile(r"\[(\d{1,2})\]")
_MAYBE_CODE = re.compile(r"\w\[\d{1,2}\]")


def build_messages(inputs: Inputs) -> list[ChatMessage]:
    """The messages of one turn: instructions, examples as earlier turns, history, the question.

    Passages stand in the last user message, numbered from 1, so that everything before it is the
    same from turn to turn and the engine's prefix cache can keep it.
    """
    messages: list[ChatMessage] = []
    if inputs.instructions:
        messages.append({"role": "system", "content": inputs.instructions})
    for example in inputs.examples:
        messages.extend(_as_turn(example))
    messages.extend(inputs.history)
    messages.append({"role": "user", "content": _question(inputs.question, inputs.passages)})
    return messages


def cited(answer: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages that an answer names by their number in the prompt, such as [2]."""
    numbers = {int(number) for number in _SOURCE.findall(answer)}
    return [passage for at, passage in enumerate(passages, start=1) if at in numbers]


def renumbered(answer: str, before: Sequence[Passage], after: Sequence[Passage]) -> str | None:
    """The answer, its sources numbered as they stand in `after`; None where that cannot be.

    It cannot where a source is not in `after`, or where a number may be an index, as in `rows[1]`.
    A number that no passage of `before` has is left as it is.
    """
    if not cited(answer, before):
        return answer
    now = {passage.hash: number for number, passage in enumerate(after, start=1)}
    missing = [one for one in cited(answer, before) if one.hash not in now]
    if missing or _MAYBE_CODE.search(answer):
        return None
    known = {at: now.get(passage.hash) for at, passage in enumerate(before, start=1)}
    return _SOURCE.sub(lambda found: f"[{known.get(int(found[1])) or found[1]}]", answer)


def _as_turn(example: Example) -> list[ChatMessage]:
    return [
        {"role": "user", "content": example.question},
        {"role": "assistant", "content": example.answer},
    ]


def _question(question: str, passages: tuple[Passage, ...]) -> str:
    if not passages:
        return question
    numbered = "\n".join(
        f"[{number}] {passage.document}: {passage.text}"
        for number, passage in enumerate(passages, start=1)
    )
    return f"From the documents:\n{numbered}\n\nQuestion: {question}"
