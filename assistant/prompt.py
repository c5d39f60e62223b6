"""The prompt, built in one place for chat, training and evaluation alike.

Pure: the same inputs give the same messages. A model tuned on prompts that it never meets in
service learns the wrong thing, so nothing else in the house may put a prompt together.
"""

from storage.records import ChatMessage, Example, Inputs, Passage


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
