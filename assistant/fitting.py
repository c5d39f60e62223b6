"""What of a turn fits into the context, and in which order the rest is left out.

First the examples, the one furthest from the question first; then the passages, those beside the
ones that were found first, then the lowest-ranked, down to one; then the oldest turns of the
history; then the last passage. Never the question, the instructions, or a part of anything.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace

from assistant.app import App
from assistant.prompt import build_messages
from storage.errors import BadInput
from storage.records import ChatMessage, Inputs, Message, Passage, Workspace
from storage.text import clean


def checked_question(app: App, workspace: Workspace, question: str) -> str:
    """The question without outer space; BadInput for an empty one, or one that does not fit."""
    question = clean(question).strip()
    if not question:
        raise BadInput("The question is empty; type something to ask.")
    room = served_room(app, workspace)
    # A token is at least one byte of text, so a text under the room in bytes fits unmeasured.
    spent = len((workspace.instructions + question).encode()) + 64
    if spent > room:
        spent = _measured(app, workspace, question, room)
    if spent > room:
        raise BadInput(
            f"The question is about {spent} tokens long, but only {room} fit beside the reply; "
            "shorten it or put the text into a document."
        )
    return question


def _measured(app: App, workspace: Workspace, question: str, room: int) -> int:
    """Tokens of the shortest prompt with this question; a guess where it cannot fit at all.

    200,000 tokens take a second to count, and are as surely too many by their beginning.
    """
    begins = question[: max(1, 8 * room)]
    counted = app.tokenizer.count(begins)
    if counted > room:
        return counted * len(question) // len(begins)
    if len(question) > 64 * room:  # no vocabulary has words so long
        return len(question) // 16
    return len(_ids(app, Inputs(question, workspace.instructions, 0)))


def fitting_history(
    app: App, workspace: Workspace, before: list[Message]
) -> tuple[ChatMessage, ...]:
    """The newest whole turns within the workspace's history budget, oldest first."""
    kept: list[ChatMessage] = []
    room = workspace.settings.history_tokens
    for item in reversed(before):
        room -= app.tokenizer.count(item.content) + 8
        if room < 0:
            break
        kept.append({"role": item.role, "content": item.content})
    kept.reverse()
    while kept and kept[0]["role"] != "user":
        kept.pop(0)
    return tuple(kept)


def rendered(
    app: App, workspace: Workspace, inputs: Inputs, *, before: int = 0
) -> tuple[Inputs, list[int], list[str]]:
    """What fits of the inputs, its token ids, and a sentence for each kind that was left out.

    `before` is how many messages were said earlier, those that the history's budget kept out
    among them. BadInput where the question and the instructions alone are too long.
    """
    room = served_room(app, workspace)
    kept, ids = fitted(app, inputs, room)
    if len(ids) > room:
        raise BadInput(
            f"The question and the workspace's instructions are {len(ids)} tokens long, but only "
            f"{room} fit beside the reply; shorten one of them."
        )
    return kept, ids, _left_out(inputs, kept, before)


def served_room(app: App, workspace: Workspace) -> int:
    """Tokens that a prompt may have, so that the longest reply fits beside it."""
    return app.settings.context - workspace.settings.max_tokens


def fitted(app: App, inputs: Inputs, room: int) -> tuple[Inputs, list[int]]:
    """What of the inputs fits into `room` tokens, and its ids; the least there is, if none does."""
    ids = _ids(app, inputs)
    steps = [] if len(ids) <= room else list(_fewer(inputs))
    if not steps:
        return inputs, ids
    # by halves, for each look costs a rendering: 5 of them where 20 things may go
    last = len(steps) - 1
    enough = bisect_left(steps, True, hi=last, key=lambda one: len(_ids(app, one)) <= room)
    return steps[enough], _ids(app, steps[enough])


def _ids(app: App, inputs: Inputs) -> list[int]:
    return app.tokenizer.render(build_messages(inputs))


def _fewer(inputs: Inputs) -> Iterator[Inputs]:
    """The inputs with one thing less each time, in the order of the policy."""
    while inputs.examples:  # the nearest is the last
        yield (inputs := replace(inputs, examples=inputs.examples[1:]))
    while len(inputs.passages) > 1:
        yield (inputs := replace(inputs, passages=_without_lowest(inputs.passages)))
    while inputs.history:
        yield (inputs := replace(inputs, history=_without_oldest_turn(inputs.history)))
    if inputs.passages:
        yield replace(inputs, passages=())


def _without_lowest(passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """They are in order of rank, but for what stands beside one that was found."""
    beside = [at for at, one in enumerate(passages) if one.relevance is None]
    lowest = beside[-1] if beside else len(passages) - 1
    return (*passages[:lowest], *passages[lowest + 1 :])


def _without_oldest_turn(history: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Up to the next thing that a person said."""
    asked = (at for at, one in enumerate(history) if at and one["role"] == "user")
    return tuple(history[next(asked, len(history)) :])


def _left_out(inputs: Inputs, kept: Inputs, before: int) -> list[str]:
    counts = (
        (len(inputs.examples), len(kept.examples), "examples"),
        (len(inputs.passages), len(kept.passages), "passages"),
        (max(before, len(inputs.history)), len(kept.history), "earlier messages"),
    )
    return [
        f"{whole - left} of {whole} {name} {'was' if whole - left == 1 else 'were'} left out: "
        "the prompt has no room for more."
        for whole, left, name in counts
        if left < whole
    ]
